"""Another embedding model: the former one answers until the vectors of the new one are made."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas.retrieval import DocumentRef, Passage
from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, Vectors, open_embedder
from services.retriever.embedding.llama import LlamaServerEmbedder
from services.retriever.embedding.model import Model
from services.retriever.embedding.onnx import OnnxEmbedder
from services.retriever.indexer import Indexer
from services.retriever.records import prepare, text_to_embed
from services.retriever.vectors import VectorIndex
from services.runtime.config import Embedding
from services.runtime.errors import Retryable
from tests.support.llama import llama_process
from tests.support.retriever import Asker, retriever
from tests.support.second_model import BUNDLED, second_model
from tests.support.texts import ENGLISH
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration

BUDGET_MB = 1 << 20
"""The test's process has much more in it than a retriever: some 4 GB after thousands of tests."""
COUNT = 20


def ref(doc_id: str = "a", revision: int = 1) -> DocumentRef:
    return DocumentRef(doc_id=doc_id, revision=revision, title="T", file=f"{doc_id}.txt")


def passages(*texts: str) -> list[Passage]:
    return [Passage(ordinal=n, page=n + 1, text=text) for n, text in enumerate(texts)]


MANUAL = passages(*ENGLISH[:COUNT])


class Gate:
    """Lets a model embed so many groups of passages, and counts what it embedded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.passages: list[str] = []
        self.questions: list[str] = []
        self._left = threading.Semaphore(0)
        self._open = threading.Event()
        self._stopped = threading.Event()
        self._until = time.monotonic() + 60.0

    def embed(self, model: OnnxEmbedder, texts: Sequence[str]) -> Vectors:
        if not model.name.startswith(self.name):
            return _embed(model, texts)
        if len(texts) == 1:
            self.questions += texts
            return _embed(model, texts)
        while not self._open.is_set() and not self._left.acquire(timeout=0.01):
            if self._stopped.is_set() or time.monotonic() > self._until:
                raise Retryable("embed", "held up")
        self.passages += texts
        return _embed(model, texts)

    def let(self, groups: int) -> None:
        for _ in range(groups):
            self._left.release()

    def open(self) -> None:
        self._open.set()

    def stop(self) -> None:
        """Embed no more; who waits is let go."""
        self._stopped.set()


_embed = OnnxEmbedder.embed


@contextmanager
def gated(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Hold the passages of a model up for the length of a block."""
    gate = Gate(name)
    with monkeypatch.context() as patched:
        patched.setattr(OnnxEmbedder, "embed", lambda model, texts: gate.embed(model, texts))  # noqa: PLW0108  bound as a method
        # Groups of two passages, so that a change has many steps.
        patched.setattr("services.retriever.grouping.groups.__defaults__", (2,))
        try:
            yield gate
        finally:
            gate.open()


@asynccontextmanager
async def asked_by(
    folder: Path, model: Path | Embedding = BUNDLED, **more: int
) -> AsyncIterator[Asker]:
    embedding = model if isinstance(model, Embedding) else Embedding(model=str(model), threads=1)
    async with retriever(folder, embedding, **({"budget_mb": BUDGET_MB} | more)) as asker:
        yield asker


async def stopped_after(
    groups: int, folder: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have the bundled model answer, and a change to a second one stop in its midst."""
    async with asked_by(folder) as asker:
        await asker.add(ref(), MANUAL)
    with gated("second", monkeypatch) as gate:
        async with asked_by(folder, second) as asker:
            gate.let(groups)
            told = f"{2 * groups} of {COUNT}"
            await soon(lambda: asker.health.facts["embedding_change"] == told)
            gate.stop()


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  of any kind
            await asyncio.sleep(0.01)


async def changed(asker: Asker, name: str) -> None:
    """Return when a model answers, and the former one's vectors are gone."""
    async with asyncio.timeout(60):
        while not (await asker.corpus()).embedding.startswith(name):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await soon(lambda: asker.health.facts["embedding_change"] == "")


async def near(asker: Asker, passage: Passage) -> bool:
    """Return whether a passage is found first by its own text, perhaps joined with the next."""
    hits = (await asker.search(passage.text, limit=3)).hits
    return bool(hits) and hits[0].passage.text.startswith(passage.text)


def kept(folder: Path, table: str = "vectors") -> dict[str, Vectors]:
    """Read the vectors of a corpus, by the text of their passages."""
    with closing(sqlite3.connect(folder / "corpus.db")) as db:
        rows = db.execute(
            f"SELECT p.content, v.vector FROM {table} v JOIN passages p ON p.id = v.passage"  # noqa: S608
        ).fetchall()
    return {
        msgspec.msgpack.decode(content, type=Passage).text: np.frombuffer(vector, np.float16)
        for content, vector in rows
    }


def are_of(vectors: dict[str, Vectors], model: Path | Embedding) -> bool:
    """Return whether all of some vectors are a model's."""
    embedding = model if isinstance(model, Embedding) else Embedding(model=str(model))
    embedder = open_embedder(embedding)
    try:
        texts = [text_to_embed("T", *passages(text)) for text in vectors]
        # No gate is for this.
        made = (
            _embed(embedder, texts) if isinstance(embedder, OnnxEmbedder) else embedder.embed(texts)
        )
    finally:
        embedder.close()
    there = np.array(list(vectors.values()), dtype=np.float32)
    return bool(((made * there).sum(axis=1) > 0.98).all())


async def test_the_former_model_answers_until_the_new_one_has_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = second_model(tmp_path)
    async with asked_by(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        former = (await asker.corpus()).embedding
    with gated("second", monkeypatch) as gate:
        async with asked_by(tmp_path, new) as asker:
            gate.let(5)
            await soon(lambda: asker.health.facts["embedding_change"] == f"10 of {COUNT}")
            assert (await asker.corpus()).embedding == former
            assert asker.health.facts["vectors"] == COUNT
            assert asker.health.reason == ""
            assert [await near(asker, passage) for passage in MANUAL] == [True] * COUNT
            assert gate.questions == []
            gate.open()
            await changed(asker, "second")
            assert asker.health.facts["vectors"] == COUNT
            assert [await near(asker, passage) for passage in MANUAL] == [True] * COUNT
            assert set(gate.questions) == {passage.text for passage in MANUAL}
            await soon(lambda: not kept(tmp_path, "coming"))
        assert are_of(kept(tmp_path), new)
        assert len(gate.passages) == COUNT
        async with asked_by(tmp_path, new) as asker:  # from the file that was saved
            assert asker.health.facts["vectors"] == COUNT
            assert await near(asker, MANUAL[3])
    assert len(gate.passages) == COUNT


async def test_what_is_configured_otherwise_and_is_the_same_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_by(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
    copied = shutil.copytree(BUNDLED, tmp_path / "elsewhere")
    with gated("all-MiniLM", monkeypatch) as gate:
        settings = Embedding(model=str(copied), threads=2, batch=4, url="http://127.0.0.1:9")
        async with asked_by(tmp_path, settings) as asker:
            assert asker.health.facts["vectors"] == COUNT
            assert asker.health.facts["embedding_change"] == ""
            assert await near(asker, MANUAL[0])
    assert gate.passages == []


async def test_a_corpus_of_an_older_andon_keeps_its_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked_by(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
        name = (await asker.corpus()).embedding
    former = name.rpartition(".")[0]
    with closing(sqlite3.connect(tmp_path / "corpus.db")) as db, db:
        # As the schema's last step leaves it.
        db.execute(
            "UPDATE meta SET value = json_object('name', ?1, 'label', ?1) WHERE key = 'model'",
            (former,),
        )
    with gated("all-MiniLM", monkeypatch) as gate:
        async with asked_by(tmp_path) as asker:
            await soon(lambda: asker.health.facts["vectors"] == COUNT)
            assert (await asker.corpus()).embedding == former
    assert gate.passages == []


async def test_a_restart_in_the_middle_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = second_model(tmp_path)
    await stopped_after(7, tmp_path, new, monkeypatch)
    assert len(kept(tmp_path, "coming")) == 14
    assert are_of(kept(tmp_path), BUNDLED)
    with gated("second", monkeypatch) as gate:
        gate.open()
        async with asked_by(tmp_path, new) as asker:
            await changed(asker, "second")
        assert len(gate.passages) == COUNT - 14
    assert are_of(kept(tmp_path), new)


async def test_who_goes_back_to_the_former_model_has_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = second_model(tmp_path)
    await stopped_after(2, tmp_path, new, monkeypatch)
    with gated("all-MiniLM", monkeypatch) as gate:
        async with asked_by(tmp_path) as asker:
            assert asker.health.facts["vectors"] == COUNT
            await soon(lambda: not kept(tmp_path, "coming"))
            assert await near(asker, MANUAL[5])
    assert gate.passages == []


async def test_a_third_model_takes_the_place_of_the_one_that_was_coming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, third = second_model(tmp_path), second_model(tmp_path, "third")
    await stopped_after(3, tmp_path, second, monkeypatch)
    with gated("third", monkeypatch) as gate:
        gate.open()
        async with asked_by(tmp_path, third) as asker:
            await changed(asker, "third")
        assert len(gate.passages) == COUNT
    assert are_of(kept(tmp_path), third)


async def test_without_the_former_model_it_says_so_and_searches_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, new = second_model(tmp_path, "first"), BUNDLED
    async with asked_by(tmp_path, first) as asker:
        await asker.add(ref(), MANUAL)
    shutil.rmtree(first)
    with gated("all-MiniLM", monkeypatch) as gate:
        async with asked_by(tmp_path, new) as asker:
            gate.let(2)
            await soon(lambda: asker.health.facts["embedding_change"] == f"4 of {COUNT}")
            assert "first@" in asker.health.reason
            assert "is gone" in asker.health.reason
            assert await near(asker, MANUAL[0])
            gate.open()
            await soon(lambda: asker.health.reason == "")
            assert asker.health.facts["vectors"] == COUNT
            assert asker.health.facts["embedding_change"] == ""
    assert are_of(kept(tmp_path), new)


async def test_two_models_that_do_not_fit_are_not_loaded_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = second_model(tmp_path)
    async with asked_by(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
    loaded: list[Embedding] = []

    def told(settings: Embedding) -> Embedder:
        loaded.append(settings)
        return open_embedder(settings)

    monkeypatch.setattr("services.retriever.former.open_embedder", told)
    with gated("second", monkeypatch) as gate:
        async with asked_by(tmp_path, new, budget_mb=20) as asker:
            assert loaded == []
            assert "two at a time do not fit into 20 MB" in asker.health.reason
            gate.open()
            await soon(lambda: asker.health.reason == "")
    assert are_of(kept(tmp_path), new)


async def test_documents_come_and_go_while_the_model_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step: what answers is found, what does not is not, and nothing is mixed."""
    random_ = random.Random(7)
    new = second_model(tmp_path)
    texts = (f"{one} Item {n}." for n, one in enumerate(itertools.cycle(ENGLISH)))
    answering: dict[str, tuple[int, list[Passage]]] = {}
    gone: list[Passage] = []

    async def step(asker: Asker) -> None:
        doc_id = random_.choice("abcdef")
        revision, there = answering.get(doc_id, (0, []))
        if there and random_.random() < 0.3:
            await asker.remove(doc_id)
            answering[doc_id] = (revision, [])
        else:
            fresh = passages(*itertools.islice(texts, random_.randint(1, 12)))
            await asker.add(ref(doc_id, revision + 1), fresh)
            answering[doc_id] = (revision + 1, fresh)
        gone.extend(there)
        held = [one for _, some in answering.values() for one in some]
        assert (await asker.corpus()).vectors == len(held)
        for one in random_.sample(held, min(4, len(held))):
            assert await near(asker, one)
        for one in random_.sample(gone, min(2, len(gone))):
            found = await asker.search(one.text, limit=20)
            assert not [hit for hit in found.hits if one.text in hit.passage.text]

    async with asked_by(tmp_path) as asker:
        for _ in range(8):
            await step(asker)
    with gated("second", monkeypatch) as gate:
        async with asked_by(tmp_path, new) as asker:
            for _ in range(10):
                gate.let(random_.randint(0, 2))
                await step(asker)
                assert are_of(kept(tmp_path), BUNDLED)
                if coming := kept(tmp_path, "coming"):
                    assert are_of(coming, new)
            gate.open()
            for _ in range(6):
                await step(asker)
            await changed(asker, "second")
            for _ in range(4):
                await step(asker)
            held = {one.text for _, some in answering.values() for one in some}
            assert [await near(asker, *passages(text)) for text in held] == [True] * len(held)
        assert are_of(kept(tmp_path), new)


async def test_another_model_behind_the_same_address_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.opening.AGAIN_S", 0.05)
    monkeypatch.setattr("services.retriever.identity.CONFIRM_S", 0.1)
    one, two = (
        write_tiny_gguf(tmp_path / f"{seed}" / "tiny.gguf", seed=seed)
        for seed in (1, 2)
        if not (tmp_path / f"{seed}").mkdir()
    )
    with llama_process(one, embedding=True) as server:
        port = int(server.url.rpartition(":")[2])
        settings = Embedding(backend="llama-server", url=server.url)
        running = retriever(tmp_path, settings, budget_mb=BUDGET_MB)
        asker = await running.__aenter__()
        await asker.add(ref(), MANUAL)
        first = kept(tmp_path)
        assert are_of(first, settings)
    try:
        before = (await asker.corpus()).embedding
        with llama_process(two, embedding=True, port=port):  # of the same name and length
            async with asyncio.timeout(60):
                while (await asker.corpus()).embedding == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await soon(lambda: asker.health.facts["vectors"] == COUNT)
            await soon(lambda: asker.health.reason == "")
            await asker.add(ref("b"), passages("Another one."))
            assert are_of(kept(tmp_path), settings)
            assert not are_of(first, settings)
    finally:
        await running.__aexit__(None, None, None)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each comparison of a question's vector with those of passages."""
    seen: list[int] = []
    search = VectorIndex.search

    def counted(index: VectorIndex, vector: Any, limit: int) -> list[tuple[int, float]]:
        seen.append(limit)
        return search(index, vector, limit)

    monkeypatch.setattr(VectorIndex, "search", counted)
    return seen


async def test_the_first_question_to_another_model_of_the_same_name_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: list[int]
) -> None:
    """Nobody but the question itself looks whether the model is another one."""
    monkeypatch.setattr("services.retriever.identity.CONFIRM_S", 1e6)
    monkeypatch.setattr("services.retriever.opening.AGAIN_S", 1e6)
    one, two = (write_tiny_gguf(tmp_path / f"{seed}.gguf", seed=seed) for seed in (1, 2))
    with ExitStack() as first:
        server = first.enter_context(llama_process(one, embedding=True))
        settings = Embedding(backend="llama-server", url=server.url, model="tiny")
        async with asked_by(tmp_path, settings) as asker:
            await asker.add(ref(), MANUAL)
            assert await near(asker, MANUAL[0])
            assert compared, "by the model that made the vectors they are compared"
            first.close()
            compared.clear()
            with llama_process(two, embedding=True, port=int(server.url.rpartition(":")[2])):
                hits = (await asker.search(MANUAL[1].text)).hits
                assert "the model is another one now" in asker.health.reason
                assert hits[0].passage.text.startswith(MANUAL[1].text), "its words are found"
                assert {hit.by for hit in hits} == {"words"}
                await asker.search(MANUAL[2].text)
    assert compared == []


async def test_weights_under_another_ones_name_answer_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: list[int]
) -> None:
    monkeypatch.setattr("services.retriever.identity.VERIFY_AFTER_S", 1e6)
    monkeypatch.setattr("services.retriever.opening.AGAIN_S", 0.05)
    read: list[str] = []
    verify = OnnxEmbedder.verify

    def told(model: OnnxEmbedder) -> None:
        read.append(model.name)
        verify(model)

    monkeypatch.setattr(OnnxEmbedder, "verify", told)
    model = Path(shutil.copytree(BUNDLED, tmp_path / "model"))
    async with asked_by(tmp_path, model) as asker:
        await asker.add(ref(), MANUAL)
    assert len(read) == 1
    async with asked_by(tmp_path, model) as asker:
        assert await near(asker, MANUAL[0])
    assert len(read) == 1, "what was not touched is not read again before it answers"
    weights = model / "weights.bin"
    right = weights.read_bytes()
    weights.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    compared.clear()
    async with asked_by(tmp_path, model) as asker:
        assert "weights.bin is damaged" in asker.health.reason
        assert await near(asker, MANUAL[0])
        assert compared == []
        weights.write_bytes(right)
        await soon(lambda: asker.health.reason == "")
        assert await near(asker, MANUAL[0])
        assert compared


async def test_a_server_that_still_runs_answers_until_its_successor_has_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with llama_process(write_tiny_gguf(tmp_path / "tiny.gguf"), embedding=True) as server:
        former = Embedding(backend="llama-server", url=server.url)
        async with asked_by(tmp_path, former) as asker:
            await asker.add(ref(), MANUAL)
        with (
            llama_process(tmp_path / "tiny.gguf", embedding=True) as other,
            gated("all-MiniLM", monkeypatch) as gate,
        ):
            moved = Embedding(backend="llama-server", url=other.url)
            async with asked_by(tmp_path, moved) as asker:  # the same model elsewhere
                assert asker.health.facts["vectors"] == COUNT
                assert asker.health.facts["embedding_change"] == ""
            async with asked_by(tmp_path) as asker:
                gate.let(2)
                await soon(lambda: asker.health.facts["embedding_change"] == f"4 of {COUNT}")
                assert (await asker.corpus()).embedding.startswith("llama-server/")
                await asker.add(ref("b"), passages("The pump runs dry."))
                assert await near(asker, MANUAL[1])
                assert gate.questions == []
                gate.open()
                await changed(asker, "all-MiniLM")
    assert are_of(kept(tmp_path), BUNDLED)
    async with asked_by(tmp_path) as asker:
        assert asker.health.facts["vectors"] == COUNT + 1


async def test_the_former_model_answers_while_the_new_ones_server_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.opening.AGAIN_S", 0.05)
    async with asked_by(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
    with llama_process(write_tiny_gguf(tmp_path / "tiny.gguf"), embedding=True) as server:
        port = int(server.url.rpartition(":")[2])
    settings = Embedding(backend="llama-server", url=f"http://127.0.0.1:{port}")
    async with asked_by(tmp_path, settings) as asker:
        assert "answers meanwhile" in asker.health.reason
        added = await asker.add(ref("b"), passages("The pump runs dry."))
        assert added.vectors == 1
        assert await near(asker, MANUAL[1])
        with llama_process(tmp_path / "tiny.gguf", embedding=True, port=port):
            await changed(asker, "llama-server/")
            await soon(lambda: asker.health.reason == "")
            assert asker.health.facts["vectors"] == COUNT + 1
            assert are_of(kept(tmp_path), settings)


@pytest.fixture
def still_open(monkeypatch: pytest.MonkeyPatch) -> list[LlamaServerEmbedder]:
    """Embedders of servers that were opened and not closed."""
    there: list[LlamaServerEmbedder] = []
    begin, close = LlamaServerEmbedder.__init__, LlamaServerEmbedder.close

    def opened(embedder: LlamaServerEmbedder, url: str, *, model: str = "", batch: int = 8) -> None:
        begin(embedder, url, model=model, batch=batch)
        there.append(embedder)

    def closed(embedder: LlamaServerEmbedder) -> None:
        close(embedder)
        if embedder in there:
            there.remove(embedder)

    monkeypatch.setattr(LlamaServerEmbedder, "__init__", opened)
    monkeypatch.setattr(LlamaServerEmbedder, "close", closed)
    return there


async def test_one_that_stood_in_for_the_same_model_elsewhere_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, still_open: list[LlamaServerEmbedder]
) -> None:
    monkeypatch.setattr("services.retriever.opening.AGAIN_S", 0.05)
    monkeypatch.setattr("services.retriever.worker.LAST_S", 0.05)
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    with llama_process(model, embedding=True) as server:
        async with asked_by(tmp_path, Embedding(backend="llama-server", url=server.url)) as asker:
            await asker.add(ref(), MANUAL)
        with llama_process(model, embedding=True) as other:
            port = int(other.url.rpartition(":")[2])
        moved = Embedding(backend="llama-server", url=f"http://127.0.0.1:{port}")
        async with asked_by(tmp_path, moved) as asker:
            (stand_in,) = still_open
            assert "answers meanwhile" in asker.health.reason
            with llama_process(model, embedding=True, port=port):
                await soon(lambda: bool(still_open) and stand_in not in still_open)
                await asker.add(ref("b"), passages("The pump runs dry."))
                assert len(still_open) == 1
        assert still_open == []


async def test_who_gives_up_waiting_for_a_change_does_not_cut_it_in_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what answers would go under the name of the model that answered before."""
    corpus = await Corpus.open(tmp_path / "corpus.db")
    indexer = Indexer(corpus, tmp_path / "vectors")
    former, new = Model("former", "former"), Model("new", "new")
    vectors = np.eye(COUNT, dtype=np.float32)
    await corpus.put(ref(), prepare(ref(), MANUAL))
    await corpus.activate("a", 1, COUNT, at_once=True)
    labels = [label for label, _, _ in await corpus.without_vector(0, COUNT)]
    for model in (former, new):
        await (corpus.announce(model) if model is new else corpus.use_embedding(model))
        await corpus.put_vectors(labels, labels, vectors, model.label)
    switched: list[bool] = []
    change = asyncio.create_task(
        indexer.take_over(
            VectorIndex.empty(COUNT), new.label, labels[-1], lambda: switched.append(True)
        )
    )
    read = corpus.refresh

    async def given_up() -> None:
        change.cancel()  # it is committed
        await read()

    monkeypatch.setattr(corpus, "refresh", given_up)
    with pytest.raises(asyncio.CancelledError):
        await change
    await indexer.close()
    monkeypatch.undo()
    assert switched == [True]
    assert corpus.model == new
    told = corpus.model
    await corpus.read_models()
    assert corpus.model == told
    await corpus.close()
