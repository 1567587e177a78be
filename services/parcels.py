"""The commands `andon export` and `andon import`: single collections, from box to box."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from schemas.channels import INDEX, PASSAGES, PASSED, RECEIVE
from schemas.knowledge import DocumentState, Passed, ReceivedDocument, ReceiveDocument
from schemas.retrieval import DocumentRef, IndexPassages, PassageList, PassageQuery
from services.parcel import file as parcel
from services.parcel import keys
from services.parcel.contents import Batch, Collection, Document
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import Rejected
from services.runtime.paging import fitting
from services.terminal import print_json, say, tell

OK, FAILED = 0, 1
_RPC_S = 120.0
_WORD_EVERY_S = 10.0
_BEGIN = ".import-"
_OLD_S = 86_400.0
_MB = 2**20


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document."""

    state: DocumentState
    """Its state."""
    sent: int = 0
    """Passages that were sent; 0 where it was there already, or is read here."""


def declare(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands."""
    export = command("export", _export, "Write a collection to a signed file for another box.")
    export.add_argument("collection", help="its name, as in `andon documents`")
    export.add_argument("file", type=Path, help="file to write")

    take = command("import", _import, "Take a collection from a file of another box.")
    take.add_argument("file", type=Path, help="file that `andon export` wrote")
    take.add_argument("--show", action="store_true", help="tell what is in it, take nothing")
    take.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="KEY",
        help="whose word to take this time; always: sharing.trusted_keys",
    )


def _export(options: argparse.Namespace) -> int:
    from services.commands import talk  # noqa: PLC0415

    async def work(client: Any, config: Config) -> int:
        box = keys.Box.of(config.data_dir)
        name: str = options.collection
        states = [s async for s in client.documents() if s.collection == name and s.answers]
        if not states:
            raise Rejected("export", f"no document of the collection {name!r} answers")
        embedding, documents = "", []
        with parcel.writing(options.file.absolute()) as writer:
            for number, state in enumerate(states):
                one, embedding = await _write(client, config, writer, state, number)
                documents.append(one)
            listed = Collection(
                andon=version("andon"),
                box=socket.gethostname(),
                made=now(),
                collection=name,
                embedding=embedding,
                documents=documents,
            )
            writer.close(listed, box)
        _tell(options, listed, box.public)
        return OK

    return talk(options, work)


async def _write(
    client: Any, config: Config, writer: parcel.Writer, state: DocumentState, number: int
) -> tuple[Document, str]:
    """Write a document; return it, and the model its vectors are of."""
    revisions = (await client.revisions(state.doc_id)).revisions
    answering = next((one for one in revisions if one.revision == state.answers), None)
    path = config.data_dir / "originals" / (answering.sha256 if answering else "")
    if answering is None or not answering.sha256 or not path.is_file():
        raise Rejected(
            "export", f"{state.file}: its original is not here", "add the file again, or remove it"
        )
    original = writer.file(f"originals/{answering.sha256}-{number}", path, answering.sha256)
    pages = [page async for page in _pages(client, state)]
    batches = [Batch(page.passages, page.vectors) for page in pages]
    part = writer.batches(f"passages/{number:05}", batches)
    return Document(
        file=state.file,
        title=state.title,
        lang=state.lang,
        assets=state.assets,
        kind=state.kind,
        model=state.model,
        tags=state.tags,
        pages=answering.pages,
        passages=sum(len(one.passages) for one in batches),
        vectors=sum(bool(vector) for one in batches for vector in one.vectors),
        original=original,
        batches=part,
    ), pages[0].embedding


async def _pages(client: Any, state: DocumentState) -> AsyncIterator[PassageList]:
    query = PassageQuery(doc_id=state.doc_id, revision=state.answers)
    while True:
        page: PassageList = await client.call(PASSAGES, query, deadline_s=_RPC_S)
        yield page
        if not page.next:
            return
        query = msgspec.structs.replace(query, after=page.next)


def _import(options: argparse.Namespace) -> int:
    from services.commands import load, talk  # noqa: PLC0415

    path: Path = options.file.absolute()
    if options.show:
        with parcel.reading(path, None) as reader:
            reader.check(lambda _name: None)
            _tell(options, reader.listed, reader.key)
            trusted = reader.key in _trusted(options, load(options))
        if not options.json:
            tell("signed by a key that is trusted here" if trusted else "NOT trusted here")
        return OK

    async def work(client: Any, config: Config) -> int:
        with parcel.reading(path, _trusted(options, config)) as reader:
            reader.check(lambda _name: None)  # all of it, before any of it is taken
            taken = []
            with _folder(config.data_dir) as folder:
                for document in reader.listed.documents:
                    taken.append(await _take(client, reader, document, folder))
                    if not options.json:
                        tell(_line(taken[-1]))
            if options.json:
                print_json(taken)
        return OK

    return talk(options, work)


def _trusted(options: argparse.Namespace, config: Config) -> set[str]:
    own = keys.known(config.data_dir)
    named = [*options.trust, *config.sharing.trusted_keys]
    return {keys.key_of(key) for key in named} | ({own} if own else set())


async def _take(client: Any, reader: parcel.Reader, document: Document, folder: Path) -> Taken:
    """Have a document taken in; its passages go to the retriever."""
    path = folder / "original"
    reader.unpack(document.original, path)
    request = ReceiveDocument(
        path=str(path),
        name=document.file,
        found_title=document.title,
        found_lang=document.lang,
        assets=document.assets,
        kind=document.kind,
        model=document.model,
        collection=reader.listed.collection,
        tags=document.tags,
        pages=document.pages,
        passages=document.passages,
    )
    got: ReceivedDocument = await client.call(RECEIVE, request, deadline_s=_RPC_S)
    state = got.added.state
    if not got.wanted:
        return Taken(state=state)
    word = Passed(doc_id=state.doc_id, revision=state.revision, complete=False)
    ref = DocumentRef(
        doc_id=state.doc_id,
        revision=state.revision,
        title=state.title,
        file=state.file,
        lang=state.lang,
        assets=state.assets,
        kind=state.kind,
        model=state.model,
        collection=state.collection,
        tags=state.tags,
    )
    try:
        sent = await _send(client, reader, document, ref, word)
    except Rejected as error:
        # Ingest was started anew meanwhile, or found it long enough: it reads the file itself.
        say(f"{document.file}: {error}")
        sent = 0
    state = await client.follow(got.added, lambda one: one.state == "ready", lambda _state: None)
    return Taken(state=state, sent=sent)


async def _send(
    client: Any, reader: parcel.Reader, document: Document, ref: DocumentRef, word: Passed
) -> int:
    """Send the passages of a document to the retriever, with a word now and then to ingest."""
    sent, said = 0, time.monotonic()
    for batch in reader.batches(document):
        for some in _sized(batch):
            index = IndexPassages(
                document=ref,
                passages=some.passages,
                vectors=some.vectors,
                embedding=reader.listed.embedding,
            )
            await client.call(INDEX, index, deadline_s=_RPC_S)
            sent += len(some.passages)
            if time.monotonic() - said > _WORD_EVERY_S:
                said = time.monotonic()
                await client.call(PASSED, word, deadline_s=_RPC_S)
    done = msgspec.structs.replace(word, complete=True)
    await client.call(PASSED, done, deadline_s=_RPC_S)
    return sent


def _sized(batch: Batch) -> list[Batch]:
    """Return a batch in parts that fit a message each."""
    pairs = list(zip(batch.passages, batch.vectors, strict=True))
    parts = []
    while pairs:
        count = fitting(pairs, len(pairs))
        parts.append(Batch([p for p, _ in pairs[:count]], [v for _, v in pairs[:count]]))
        pairs = pairs[count:]
    return parts


@contextmanager
def _folder(data: Path) -> Iterator[Path]:
    """Yield a folder whose files the ingest service can read."""
    place = data if os.access(data, os.W_OK) else None
    for left in data.glob(f"{_BEGIN}*") if place else ():
        if time.time() - left.stat().st_mtime > _OLD_S:  # of one that was killed
            shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=_BEGIN, dir=place))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


def _line(taken: Taken) -> str:
    state = taken.state
    how = f"{taken.sent} passages taken" if taken.sent else "was here already"
    return f"{state.state:<9} {state.file}: revision {state.revision}, {how}"


def _tell(options: argparse.Namespace, listed: Collection, key: str) -> None:
    if options.json:
        print_json({"key": key, "collection": listed})
        return
    tell(f"{listed.collection}: from {listed.box}, Andon {listed.andon}, {listed.made}")
    for one in listed.documents:
        pages = f"{one.pages} pages, " if one.pages else ""
        tell(
            f"  {one.file}  {one.title}: {pages}{one.passages} passages, {one.vectors} vectors,"
            f" {one.original.size / _MB:.1f} MB"
        )
    tell(f"vectors of {listed.embedding}\nsigned with the key {key}")
