"""Vectors that follow behind: how fast, beside onnxruntime alone, and what searches feel of it.

python -m tests.bench.behind
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from schemas.retrieval import Activate, DocumentRef, IndexPassages, Passage, Search
from services.retriever.corpus import Corpus
from services.retriever.embedding.onnx import BATCH_TOKENS, OnnxEmbedder
from services.retriever.finder import Finder
from services.retriever.indexer import Indexer
from services.retriever.records import text_to_embed
from services.retriever.vectorizer import Vectorizer
from services.runtime.config import Embedding
from services.runtime.metrics import memory_mb
from tests.bench.corpus import passages, questions
from tests.support.andon import Andon
from tests.support.shared_data import shared_data

_ROUNDS = 6
_A_ROUND = 256
_QUESTIONS = 150
_PAUSE_S = 0.05
_TITLE = "Bench manual"
_LONG = "SINAMICS_G120_CU240BE2_List_Manual.pdf"


def measure() -> dict[str, Any]:
    """Return the figures; those of the 820 pages where the file is there."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.behind"], check=True, stdout=subprocess.PIPE
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**figures, "list_of_820_pages": _long_manual()}


def _long_manual() -> dict[str, Any]:
    """Add the long fault list through the front door, on an otherwise idle box."""
    data = shared_data()
    if data is None:
        return {"skipped": "no real manuals beside this checkout (shared/data)"}
    path = data / "manuals" / _LONG
    with tempfile.TemporaryDirectory() as folder, Andon(Path(folder)) as andon:
        began = time.monotonic()
        [state] = json.loads(
            andon.cli("add", str(path), "--searchable", "--json", timeout=900).stdout
        )
        [hit] = andon.json("search", "F30002", "--limit", "1")
        searchable = time.monotonic() - began
        [state] = json.loads(andon.cli("add", str(path), "--json", timeout=900).stdout)
        complete = time.monotonic() - began
        memory = andon.json_status()["retriever"]["memory_mb"]
    return {
        "passages": state["passages"],
        "searchable_s": round(searchable, 1),
        "found": "F30002" in hit["text"],
        "vectors_complete_s": round(complete, 1),
        "retriever_mb": memory,
    }


class _Raw:
    """onnxruntime alone: batches made beforehand, ordered by length, two threads."""

    def __init__(self) -> None:
        folder = Path(Embedding().model)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(256)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(str(folder / "model.onnx"), options)
        self._threads = ThreadPoolExecutor(Embedding().threads)

    def batches(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        encoded = sorted((e.ids for e in self._tokenizer.encode_batch(list(texts))), key=len)
        made: list[list[list[int]]] = [[]]
        for ids in encoded:
            if (len(made[-1]) + 1) * len(ids) > BATCH_TOKENS and made[-1]:
                made.append([])
            made[-1].append(ids)
        return [_feed(batch) for batch in made]

    def run(self, batches: Sequence[dict[str, Any]]) -> None:
        list(self._threads.map(lambda feed: self._session.run(["embedding"], feed), batches))


def _feed(batch: list[list[int]]) -> dict[str, Any]:
    width = max(map(len, batch))
    ids = np.array([one + [0] * (width - len(one)) for one in batch], dtype=np.int64)
    mask = np.array([[1] * len(o) + [0] * (width - len(o)) for o in batch], dtype=np.int64)
    return {"input_ids": ids, "attention_mask": mask}


class _Retriever:
    """What the service has inside, with a corpus of its own."""

    async def open(self, folder: Path) -> None:
        self.embedder = OnnxEmbedder(Embedding().model, threads=Embedding().threads)
        self.corpus = await Corpus.open(folder / "corpus.db")
        self.indexer = Indexer(self.corpus, folder / "vectors")
        await self.indexer.use(self.embedder)
        await self.indexer.fill()
        self.vectorizer = Vectorizer(self.corpus, self.indexer, self.embedder)
        self.finder = Finder(self.corpus, 0.2, lambda _: None)
        self.finder.use(self.embedder, lambda: self.indexer.index)

    async def take(self, name: str, some: Sequence[Passage]) -> float:
        """Let passages answer by codes and words; return the seconds."""
        began = time.perf_counter()
        document = DocumentRef(doc_id=name, revision=1, title=_TITLE, file=f"{name}.pdf")
        await self.indexer.take(IndexPassages(document=document, passages=list(some)))
        await self.indexer.activate(Activate(doc_id=name, revision=1, passages=len(some)))
        return time.perf_counter() - began

    async def close(self) -> None:
        self.finder.close()
        self.embedder.close()
        await self.vectorizer.close()
        await self.indexer.close()
        await self.corpus.close()


def _rounds() -> list[list[Passage]]:
    every = list(passages((_ROUNDS + 3) * _A_ROUND))
    return [every[n : n + _A_ROUND] for n in range(0, len(every), _A_ROUND)]


async def _measure(folder: Path) -> dict[str, Any]:
    raw, own = _Raw(), _Retriever()
    await own.open(folder)
    rounds = [
        [msgspec.structs.replace(p, ordinal=n) for n, p in enumerate(some)] for some in _rounds()
    ]
    alone, behind, lexical = [], [], []
    for number, some in enumerate(rounds[:_ROUNDS]):
        batches = raw.batches([text_to_embed(_TITLE, p) for p in some])
        began = time.perf_counter()
        raw.run(batches)
        alone.append(time.perf_counter() - began)
        lexical.append(await own.take(f"m{number}", some))
        began = time.perf_counter()
        await own.vectorizer.catch_up()
        behind.append(time.perf_counter() - began)
    quiet = await _searches(own, None)
    for number, some in enumerate(rounds[_ROUNDS:], _ROUNDS):
        await own.take(f"m{number}", some)
    catching_up = asyncio.create_task(own.vectorizer.catch_up())
    busy = await _searches(own, catching_up)
    peak = memory_mb()
    await catching_up
    figures = {
        "lexical_per_passage_ms": round(statistics.median(lexical) / _A_ROUND * 1e3, 2),
        "onnxruntime_texts_per_s": round(_A_ROUND / statistics.median(alone), 1),
        "vectors_per_s": round(_A_ROUND / statistics.median(behind), 1),
        "ratio": round(statistics.median(a / b for a, b in zip(alone, behind, strict=True)), 3),
        "search_ms": quiet,
        "search_while_embedding_ms": busy,
        "memory_while_embedding_mb": peak,
        "memory_after_mb": memory_mb(),
    }
    await own.close()
    return figures


async def _searches(own: _Retriever, until: asyncio.Task[None] | None) -> dict[str, float]:
    """Ask, with pauses, as long as `until` is not done; return quantiles in ms."""
    took = []
    for question in questions(_QUESTIONS):
        if until is not None and until.done():
            break
        began = time.perf_counter()
        await own.finder.find(Search(question=question))
        took.append((time.perf_counter() - began) * 1e3)
        await asyncio.sleep(_PAUSE_S)
    took.sort()
    return {
        "p50": round(statistics.median(took), 1),
        "p99": round(took[int(len(took) * 0.99)], 1),
        "questions": len(took),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(asyncio.run(_measure(Path(temporary)))))
