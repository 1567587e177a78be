"""The retriever alone, in a process of its own: embedding, search, memory, start.

python -m tests.bench.retrieval [PASSAGES]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from schemas.retrieval import Activate, DocumentRef, IndexPassages, Search
from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, open_embedder
from services.retriever.finder import Finder
from services.retriever.indexer import Indexer
from services.retriever.vectorizer import Vectorizer
from services.runtime.config import Embedding
from services.runtime.metrics import memory_mb
from tests.bench.corpus import passages, questions

_BATCH = 200
_QUESTIONS = 400


def measure(folder: Path, n_passages: int = 10_000) -> dict[str, Any]:
    """Fill a corpus in `folder` and return the figures of one that was started on it afresh."""
    filled = _child("fill", folder, n_passages)
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    asked = _child("ask", folder, n_passages)
    return {"passages": n_passages, **filled, "disk_mb": round(disk / 1e6, 1), **asked}


def _child(what: str, folder: Path, n: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.retrieval", what, str(folder), str(n)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


async def _open(folder: Path) -> tuple[Corpus, Embedder, Indexer, bool]:
    """Open as the service does; the last says whether the saved index was loaded."""
    embedder = open_embedder(Embedding())
    corpus = await Corpus.open(folder / "corpus.db")
    indexer = Indexer(corpus, folder / "vectors")
    loaded = await indexer.use(embedder)
    await indexer.fill()
    return corpus, embedder, indexer, loaded


async def _fill(folder: Path, n: int) -> dict[str, Any]:
    corpus, embedder, indexer, _ = await _open(folder)
    vectorizer = Vectorizer(corpus, indexer, embedder)
    document = DocumentRef(doc_id="bench", revision=1, title="Bench manual", file="bench.pdf")
    every = list(passages(n))
    began = time.perf_counter()
    for start in range(0, n, _BATCH):
        batch = IndexPassages(document=document, passages=every[start : start + _BATCH])
        await indexer.take(batch)
    await indexer.activate(Activate(doc_id="bench", revision=1, passages=n))
    searchable = time.perf_counter()
    await vectorizer.catch_up()
    complete = time.perf_counter()
    memory = memory_mb()
    await indexer.save()
    embedder.close()
    await vectorizer.close()
    await indexer.close()
    await corpus.close()
    return {
        "searchable_per_passage_ms": round((searchable - began) / n * 1e3, 2),
        "vector_per_passage_ms": round((complete - searchable) / n * 1e3, 2),
        "memory_after_indexing_mb": memory,
    }


async def _ask(folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    corpus, embedder, indexer, loaded = await _open(folder)
    opened = time.perf_counter()
    finder = Finder(corpus, 0.2, lambda _: None)
    finder.use(embedder, lambda: indexer.index)
    parts: dict[str, list[float]] = {"total": []}
    found = 0
    for question in questions(_QUESTIONS):
        started = time.perf_counter()
        result = await finder.find(Search(question=question))
        parts["total"].append((time.perf_counter() - started) * 1e3)
        for name, spent in result.took_ms.items():
            parts.setdefault(name, []).append(spent)
        found += bool(result.hits)
    figures = {
        "loaded": loaded,
        "open_s": round(opened - began, 3),
        "questions": _QUESTIONS,
        "found": found,
        "search_ms": {name: _quantiles(values) for name, values in parts.items()},
        "memory_mb": memory_mb(),
    }
    embedder.close()
    await indexer.close()
    await corpus.close()
    return figures


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(ordered[len(ordered) // 2], 2),
        "p99": round(ordered[int(len(ordered) * 0.99)], 2),
    }


def _main(arguments: list[str]) -> None:
    if len(arguments) == 3:
        what, folder, n = arguments
        work = _fill(Path(folder), int(n)) if what == "fill" else _ask(Path(folder))
        print(json.dumps(asyncio.run(work)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        n_passages = int(arguments[0]) if arguments else 10_000
        print(json.dumps(measure(Path(temporary), n_passages), indent=1))


if __name__ == "__main__":
    _main(sys.argv[1:])
