"""The commands of `andon` about documents: add, documents, edit, rollback, remove."""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, get_args

import msgspec

from schemas.knowledge import (
    AddDocument,
    AddedDocument,
    DocumentList,
    DocumentPhase,
    DocumentState,
)
from services.batch import Folders, Given, files_of
from services.client import IN_WORK
from services.commands import FAILED, OK, talk
from services.handing import handed
from services.progress import Meter, sentence
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import Rejected
from services.runtime.messages import topic_matches
from services.terminal import print_json, say, tell

_WIDEST = max(map(len, get_args(DocumentPhase)))


def add(options: argparse.Namespace) -> int:
    """Add files, and follow them until they are complete, or as far as was asked for."""
    files = list(dict.fromkeys(found for path in options.path for found in files_of(path)))
    folders = Folders(files)
    if options.title and len(files) > 1:
        raise Rejected("add", "--title names one document, several were given")

    meter = Meter(sys.stderr)
    progress = (lambda _state: None) if options.json else meter.show

    async def work(client: Any, config: Config) -> int:
        taken: list[AddedDocument | DocumentState] = []
        known = await _known(client) if any(file.folder for file in files) else set()
        for file in files:  # all of them first: one is read while another gets its vectors
            said = _said_of(file, folders, options, known)
            try:
                with handed(file.path, config.data_dir) as path:
                    request = AddDocument(path=str(path), name=file.name, **said)
                    taken.append(await client.add(request))
            except Rejected as error:  # this file; the others have nothing to do with it
                taken.append(_refused(file.name, error))
        states = []
        for one in taken:
            if isinstance(one, AddedDocument):
                state, remark = await client.follow(one, _enough(options), progress), _remark(one)
            else:
                state, remark = one, ""
            states.append(state)
            if not options.json:
                meter.clear()
                tell(_line(state) + remark)
        if options.json:
            print_json(states)
        elif len(states) > 1:
            counted = Counter(state.state for state in states)
            parts = ", ".join(f"{count} {state}" for state, count in counted.most_common())
            tell(f"{len(states)} files: {parts}")
        return FAILED if any(state.state not in {*IN_WORK, "ready"} for state in states) else OK

    return talk(options, work)


def _enough(options: argparse.Namespace) -> Callable[[DocumentState], bool]:
    """Return what says whether a document need not be waited for any more."""
    if options.no_wait:
        return lambda _state: True
    if options.searchable:
        return lambda state: state.searchable
    return lambda state: state.state == "ready"


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options say about a document, by the names of the messages."""
    said = {name: getattr(options, name) for name in ("title", "kind", "model", "collection")}
    lists = {"assets": options.asset, "tags": options.tag}
    said |= {
        name: None if words is None else [word for word in words if word]
        for name, words in lists.items()
    }
    return said | {"lang": options.lang}


async def _known(client: Any) -> set[str]:
    """Return the names of the documents the library has."""
    return {state.file async for state in client.documents()}


def _said_of(
    file: Given, folders: Folders, options: argparse.Namespace, known: Collection[str]
) -> dict[str, Any]:
    """Return what is said of a file, by the names of the message: by its folders, then by options.

    Folders speak of new documents only: what people said of others since then stands.
    """
    said = {name: value for name, value in _said(options).items() if value is not None}
    if unicodedata.normalize("NFC", file.name) in known:
        return said
    labels = msgspec.structs.asdict(folders.labels(file))
    tags = list(dict.fromkeys([*labels.pop("tags"), *said.pop("tags", [])]))
    return {name: value for name, value in labels.items() if value} | said | {"tags": tags}


def _remark(added: AddedDocument) -> str:
    """Return what there is to say beside the state of a document that was added."""
    if added.restored:
        return f" (the content of revision {added.revision}: it answers again, nothing was read)"
    if added.edited and added.unchanged:
        return " (was there already; what is said about it was changed)"
    return " (was there already, nothing was done)" if added.unchanged else ""


def _refused(name: str, error: Rejected) -> DocumentState:
    reason = f"{error.reason} ({error.hint})" if error.hint else error.reason
    return DocumentState(
        doc_id="", title="", file=name, state="failed", reason=reason, revision=0, updated=now()
    )


def _line(state: DocumentState) -> str:
    pages = f"{state.pages} pages, " if state.pages else ""
    detail = state.reason or f"{pages}{state.passages} passages, revision {state.revision}"
    if state.state == "indexing" and not state.reason:
        detail += f", {sentence(state)}"
    if state.kept:
        detail += f" ({', '.join(map(str, state.kept))} kept)"
    if state.assets:
        detail += f", for {', '.join(state.assets)}"
    words = [state.collection, state.kind, state.model, *state.tags]
    if any(words):
        detail += f" · {', '.join(word for word in words if word)}"
    known_as = f"  [{state.doc_id}]" if state.doc_id else ""
    return f"{state.state:<{_WIDEST}} {state.file}: {detail}{known_as}"


def documents(options: argparse.Namespace) -> int:
    """List the library, or show one document."""

    async def work(client: Any, _config: Config) -> int:
        if options.document:
            listed = await client.document(options.document)
            if options.json:
                print_json(listed)
            else:
                _show(listed)
            return OK
        if options.json:
            print_json([one async for one in client.documents() if _chosen(one, options)])
            return OK
        empty, chosen, passages = True, 0, 0
        async for state in client.documents():
            empty = False
            if _chosen(state, options):
                tell(_line(state))
                chosen += 1
                passages += await _answering(client, state)
        if empty:
            tell("The library is empty.")
        elif chosen != 1:
            tell(f"{chosen} documents, {passages} passages")
        return OK

    return talk(options, work)


async def _answering(client: Any, state: DocumentState) -> int:
    """Return how many passages of a document answer: of an older revision while one is read."""
    if state.searchable or state.answers in {0, state.revision}:
        return state.passages if state.searchable or state.answers else 0
    listed = await client.revisions(state.doc_id)
    return sum(one.passages for one in listed.revisions if one.revision == state.answers)


def _chosen(state: DocumentState, options: argparse.Namespace) -> bool:
    of_asset = not options.asset or any(topic_matches(one, options.asset) for one in state.assets)
    return (
        of_asset
        and options.collection in {"", state.collection}
        and options.kind.lower() in {"", state.kind}
        and {tag.lower() for tag in options.tag} <= set(state.tags)
        and options.state in {None, state.state}
    )


def _show(listed: DocumentList) -> None:
    [state] = listed.documents
    rows = {
        "file": state.file,
        "id": state.doc_id,
        "title": state.title,
        "state": f"{state.state}: {state.reason}" if state.reason else state.state,
        "answers": f"revision {state.answers}" if state.answers else "no",
        "for": ", ".join(state.assets),
        "collection": state.collection,
        "kind": state.kind,
        "model": state.model,
        "tags": ", ".join(state.tags),
        "language": state.lang,
        "updated": state.updated,
    }
    for name, value in rows.items():
        if value:
            tell(f"{name:<12}{value}")
    for one in listed.revisions:
        pages = f", {one.pages} pages" if one.pages else ""
        lost = "" if one.original else ", its original is gone"
        why = f": {one.reason}" if one.reason else ""
        size = f"{one.size / 2**20:.1f} MB{pages}, {one.passages} passages"
        tell(f"revision {one.revision:<3}{one.state}, {size}, {one.updated}{lost}{why}")


def edit(options: argparse.Namespace) -> int:
    """Change what is said about a document."""
    said = _said(options)
    if all(value is None for value in said.values()):
        names = ", ".join(f"--{name}" for name in ("title", "asset", "tag", "kind", "model"))
        raise Rejected("edit", "nothing was said", f"use {names}, --collection or --lang")

    async def work(client: Any, _config: Config) -> int:
        edited = await client.edit(options.document, said)
        if options.json:
            print_json(edited.state)
        else:
            tell(_line(edited.state) + ("" if edited.changed else " (was so already)"))
        return OK

    return talk(options, work)


def rollback(options: argparse.Namespace) -> int:
    """Let another revision answer."""

    async def work(client: Any, _config: Config) -> int:
        done = await client.roll_back(options.document, options.to)
        if options.json:
            print_json(done)
        elif done.reading:
            tell(f"{done.state.file}: revision {done.state.revision} is read again first")
        elif done.waiting:
            tell(
                f"{done.state.file}: revision {done.state.revision} answers when it has its"
                f" vectors, until then revision {done.state.answers} does"
            )
        else:
            back = f"{done.state.file}: revision {done.state.answers} answers"
            tell(back + (f", no longer {done.before}" if done.before != done.state.answers else ""))
        return OK

    return talk(options, work)


def remove(options: argparse.Namespace) -> int:
    """Remove documents."""

    async def work(client: Any, _config: Config) -> int:
        removed, code = [], OK
        for name in options.document:
            try:
                one = await client.remove(name, purge=options.purge)
            except Rejected as error:  # the others are removed all the same
                say(f"andon: {error}")
                code = FAILED
                continue
            removed.append(one)
            if not options.json:
                tell(f"removed {one.file}: {one.passages} passages no longer answer")
        if options.json:
            print_json(removed)
        return code

    return talk(options, work)
