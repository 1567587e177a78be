"""What goes wrong around the retriever: deadlines, removals in between, an embedding server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from schemas.retrieval import Activate, DocumentRef, IndexPassages, Passage
from services.retriever import index_file, index_writer
from services.retriever.corpus import Corpus
from services.retriever.embedding import Vectors
from services.retriever.embedding.onnx import OnnxEmbedder
from services.retriever.indexer import Indexer
from services.retriever.vectorizer import Vectorizer
from services.runtime.config import Embedding
from tests.support.http_server import http_server
from tests.support.retriever import retriever
from tests.support.texts import ENGLISH

pytestmark = pytest.mark.faults

SOON_S = 60.0
PASSAGES = [Passage(ordinal=n, text=text) for n, text in enumerate(ENGLISH[:6])]


def ref(doc_id: str) -> DocumentRef:
    return DocumentRef(doc_id=doc_id, revision=1, title=doc_id, file=f"{doc_id}.txt")


class Held(OnnxEmbedder):
    """The bundled model, which waits in the middle of its work while `gate` is closed."""

    def __init__(self) -> None:
        super().__init__(Embedding().model)
        self.gate = threading.Event()
        self.gate.set()
        self.inside = threading.Event()

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.inside.set()
        assert self.gate.wait(SOON_S)
        return super().embed(texts)


@asynccontextmanager
async def indexing(
    folder: Path, embedder: OnnxEmbedder
) -> AsyncIterator[tuple[Corpus, Indexer, Vectorizer]]:
    corpus = await Corpus.open(folder / "corpus.db")
    indexer = Indexer(corpus, folder / "vectors")
    vectorizer = Vectorizer(corpus, indexer, embedder)
    try:
        await indexer.use(embedder)
        await indexer.fill()
        yield corpus, indexer, vectorizer
    finally:
        embedder.close()
        await vectorizer.close()
        await indexer.close()
        await corpus.close()


def size(indexer: Indexer) -> int:
    assert indexer.index is not None
    return len(indexer.index)


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110  of any kind
            await asyncio.sleep(0.01)


async def cut_short(
    indexer: Indexer, change: asyncio.Task[object], made: Callable[[], bool]
) -> None:
    """Cancel a change when it is committed and the index not yet in step."""
    go_on = threading.Event()
    held = indexer._thread.submit(go_on.wait, SOON_S)
    try:
        await soon(made)
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change
    finally:
        go_on.set()
    assert await asyncio.wrap_future(held)


async def test_a_deadline_in_the_middle_of_a_change_loses_no_vectors(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(Embedding().model)
    async with indexing(tmp_path, embedder) as (corpus, indexer, vectorizer):
        await indexer.take(IndexPassages(document=ref("a"), passages=PASSAGES))
        await vectorizer.catch_up()
        assert size(indexer) == 0
        request = Activate(doc_id="a", revision=1, passages=len(PASSAGES))
        activating = asyncio.create_task(indexer.activate(request))
        await cut_short(indexer, activating, lambda: corpus.size > 0)  # type: ignore[arg-type]
        await indexer.activate(request)  # as the asker tries again
        await soon(lambda: size(indexer) == len(PASSAGES))
        removing = asyncio.create_task(indexer.remove("a"))
        await cut_short(indexer, removing, lambda: corpus.size == 0)  # type: ignore[arg-type]
        await indexer.remove("a")
        assert size(indexer) == 0


async def test_an_index_that_could_not_follow_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.derived.SETTLE_S", 0.02)
    embedder = OnnxEmbedder(Embedding().model)
    async with indexing(tmp_path, embedder) as (_, indexer, vectorizer):
        await indexer.take(IndexPassages(document=ref("a"), passages=PASSAGES))
        await indexer.activate(Activate(doc_id="a", revision=1, passages=len(PASSAGES)))
        with monkeypatch.context() as broken:

            def fail(*_: object) -> None:
                raise MemoryError("no room")

            broken.setattr(indexer.index, "add", fail)
            with pytest.raises(MemoryError):
                await vectorizer.catch_up()
            await indexer.save()
            assert not (tmp_path / "vectors").exists()
        await vectorizer.catch_up()
        while not (tmp_path / "vectors" / "vectors.json").is_file():
            await indexer.settle()
            await asyncio.sleep(0.01)
        assert size(indexer) == len(PASSAGES)


async def test_changes_go_on_while_the_process_that_writes_the_index_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = OnnxEmbedder(Embedding().model)
    async with indexing(tmp_path, embedder) as (_, indexer, vectorizer):
        await indexer.take(IndexPassages(document=ref("a"), passages=PASSAGES))
        await indexer.activate(Activate(doc_id="a", revision=1, passages=len(PASSAGES)))
        await vectorizer.catch_up()
        with monkeypatch.context() as hanging:
            hanging.setattr("services.retriever.index_writer._write", lambda *_: time.sleep(600))
            saving = asyncio.create_task(indexer.save())
            await soon(lambda: indexer._saver._writing is not None)
            writing = indexer._saver._writing
            assert writing is not None
            await indexer.remove("a")
            assert size(indexer) == 0
            assert not saving.done()
            writing.writer.end()
            with pytest.raises(OSError, match="was ended"):
                await saving
        await indexer.save()
        assert (tmp_path / "vectors" / "vectors.json").is_file()


async def test_closing_ends_a_write_that_is_just_being_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    real = index_file.begin

    def begin(*index: Any, **named: Any) -> index_file.Writing:
        inside.set()
        assert go_on.wait(SOON_S)
        return real(*index, **named)

    monkeypatch.setattr(index_file, "begin", begin)
    monkeypatch.setattr(index_writer, "_write", lambda *_: time.sleep(600))
    monkeypatch.setattr(index_writer, "LEAST_S", 5.0)
    embedder = OnnxEmbedder(Embedding().model)
    async with indexing(tmp_path, embedder) as (_, indexer, vectorizer):
        await indexer.take(IndexPassages(document=ref("a"), passages=PASSAGES))
        await indexer.activate(Activate(doc_id="a", revision=1, passages=len(PASSAGES)))
        await vectorizer.catch_up()
        saving = asyncio.create_task(indexer.save())
        await soon(inside.is_set)
        closing = asyncio.create_task(indexer.close())
        await asyncio.sleep(0)  # it has said that it ends, and waits
        go_on.set()
        with pytest.raises(OSError, match="was ended"):
            await saving
        await closing


async def test_a_document_may_be_removed_while_it_is_embedded(tmp_path: Path) -> None:
    embedder = Held()
    async with indexing(tmp_path, embedder) as (corpus, indexer, vectorizer):
        for name in ("a", "b"):
            await indexer.take(IndexPassages(document=ref(name), passages=PASSAGES))
            await indexer.activate(Activate(doc_id=name, revision=1, passages=len(PASSAGES)))
        embedder.gate.clear()
        embedding = asyncio.create_task(vectorizer.catch_up())
        await soon(embedder.inside.is_set)
        await indexer.remove("a")
        embedder.gate.set()
        await embedding
        assert size(indexer) == len(PASSAGES)
        assert await corpus.totals() == (len(PASSAGES), len(PASSAGES))


async def test_passages_that_come_in_go_before_vectors(tmp_path: Path) -> None:
    embedder = Held()
    many = [Passage(ordinal=n, text=f"{ENGLISH[n % 50]} {n}") for n in range(200)]
    async with indexing(tmp_path, embedder) as (corpus, indexer, vectorizer):
        await indexer.take(IndexPassages(document=ref("big"), passages=many))
        embedder.gate.clear()
        embedding = asyncio.create_task(vectorizer.catch_up())
        await soon(embedder.inside.is_set)
        # The model is at work and stays so: what comes in now answers all the same.
        await indexer.take(IndexPassages(document=ref("a"), passages=PASSAGES))
        done = await indexer.activate(Activate(doc_id="a", revision=1, passages=len(PASSAGES)))
        assert done.answers
        assert (await corpus.totals()) == (len(PASSAGES), 0)
        embedder.gate.set()
        await embedding


class Server:
    """An embedding server with moods: `well`, `refuse`, `nonsense`, `hang`."""

    def __init__(self, mood: str = "well") -> None:
        self.mood = mood
        self.asked = 0
        self.refused = ""
        self.go_on = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        texts = (await request.json())["input"]
        self.asked += 1
        if self.mood == "refuse" or (self.refused and any(self.refused in t for t in texts)):
            return web.Response(status=400, text="too many tokens")
        if self.mood == "nonsense":
            return web.Response(text="<html>")
        if self.mood == "hang":
            await self.go_on.wait()
        data = [
            {"index": n, "embedding": [1.0 + len(text), 2.0, 3.0, float(ord(text[-1]))]}
            for n, text in enumerate(texts)
        ]
        return web.json_response({"model": "m", "data": data})


@pytest.mark.parametrize("mood", ["refuse", "nonsense"])
async def test_a_server_that_refuses_ends_nothing(
    tmp_path: Path, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.opening.AGAIN_S", 0.05)
    server = Server(mood)
    async with http_server(server) as url:
        settings = Embedding(backend="llama-server", url=url, model="")
        async with retriever(tmp_path, settings) as asker:
            assert "embed" in asker.health.reason
            await asker.index(ref("a"), PASSAGES)
            await asker.activate(ref("a"), len(PASSAGES))
            assert (await asker.search(ENGLISH[2])).hits[0].passage == PASSAGES[2]
            server.mood = "well"
            await soon(lambda: asker.health.facts["vectors"] == len(PASSAGES))
            await soon(lambda: asker.health.reason == "")
            server.mood = mood
            assert (await asker.search(ENGLISH[2])).hits[0].passage == PASSAGES[2]
            assert "embed" in asker.health.reason


@pytest.mark.parametrize("mood", ["refuse", "nonsense"])
async def test_a_server_that_refuses_passages_is_asked_again(
    tmp_path: Path, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.vectorizer.AGAIN_S", 0.05)
    server = Server()
    async with http_server(server) as url:
        settings = Embedding(backend="llama-server", url=url, model="")
        async with retriever(tmp_path, settings) as asker:
            server.mood = mood  # from here on: the first text passed, the passages do not
            await asker.index(ref("a"), PASSAGES)
            await asker.activate(ref("a"), len(PASSAGES))
            await soon(lambda: "found by codes and words" in asker.health.reason)
            assert (await asker.search(ENGLISH[2])).hits[0].passage == PASSAGES[2]
            server.mood = "well"
            await soon(lambda: asker.health.facts["vectors"] == len(PASSAGES))


async def test_a_new_revision_answers_without_vectors_when_the_model_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.vectorizer.AGAIN_S", 0.05)
    server = Server()
    async with http_server(server) as url:
        settings = Embedding(backend="llama-server", url=url, model="")
        async with retriever(tmp_path, settings) as asker:
            await asker.add(ref("a"), PASSAGES[:3])
            server.mood = "nonsense"
            second = DocumentRef(doc_id="a", revision=2, title="a", file="a.txt")
            new = [Passage(ordinal=n, text=p.text) for n, p in enumerate(PASSAGES[3:])]
            await asker.index(second, new)
            await soon(lambda: "found by codes and words" in asker.health.reason)
            waiting = await asker.activate(second, 3)
            assert not waiting.answers
            assert waiting.waits_for
            monkeypatch.setattr("services.retriever.condition.PATIENCE_S", 0.0)
            reply = await asker.activate(second, 3)
            assert (reply.answers, reply.vectors, reply.waits_for) == (True, 0, "")
            hits = (await asker.search(PASSAGES[4].text)).hits
            assert (hits[0].document.revision, hits[0].passage.text) == (2, PASSAGES[4].text)
            server.mood = "well"
            await soon(lambda: asker.health.facts["vectors"] == 3)
            assert (await asker.complete(second, 3)).answers


async def test_a_passage_the_model_refuses_is_found_by_its_words(tmp_path: Path) -> None:
    server = Server()
    server.refused = PASSAGES[3].text
    async with http_server(server) as url:
        settings = Embedding(backend="llama-server", url=url, model="")
        async with retriever(tmp_path, settings) as asker:
            added = await asker.add(ref("a"), PASSAGES)
            assert (added.answers, added.vectors) == (True, len(PASSAGES))
            assert asker.health.facts["vectors"] == len(PASSAGES) - 1
            assert (await asker.corpus()).vectors == len(PASSAGES) - 1
            assert PASSAGES[3] in [h.passage for h in (await asker.search(ENGLISH[3])).hits]
        async with retriever(tmp_path, settings) as asker:
            await soon(lambda: asker.health.facts["vectors"] == len(PASSAGES) - 1)


async def test_a_server_that_hangs_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.meaning.EMBED_S", 0.1)
    server = Server()
    async with http_server(server) as url:
        settings = Embedding(backend="llama-server", url=url, model="")
        async with retriever(tmp_path, settings) as asker:
            await asker.add(ref("a"), PASSAGES)
            server.mood, before = "hang", server.asked
            for _ in range(20):
                assert (await asker.search(ENGLISH[2])).hits[0].passage == PASSAGES[2]
            assert server.asked == before + 1, "who waits already says that it hangs"
            assert "no vector within" in asker.health.reason
            server.mood = "well"
            server.go_on.set()
            async with asyncio.timeout(SOON_S):
                while asker.health.reason:
                    await asker.search(ENGLISH[2])
