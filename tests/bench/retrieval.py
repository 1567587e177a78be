"""The retriever alone, in a process of its own: embedding, search, memory, start.

python -m tests.bench.retrieval [PASSAGES ...]

Above 20,000 passages the vectors are random ones, which the model did not make: embedding so many
takes the better part of an hour, and for the index random ones are the harder case.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas.retrieval import Activate, DocumentRef, IndexPassages, Passage, Search
from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, Vectors, open_embedder, unit
from services.retriever.finder import Finder
from services.retriever.indexer import Indexer
from services.retriever.lexicon import SHIPPED, Lexicon
from services.retriever.pauses import keep_short
from services.retriever.vectorizer import Vectorizer
from services.runtime.config import Embedding, Retriever
from services.runtime.metrics import memory_mb
from tests.bench.corpus import passages, questions

_BATCH = 200
_QUESTIONS = 400
_MANUAL = 1000
"""Passages of a manual; each belongs to a machine of its own, one in four to a collection."""
_EMBEDDED = 20_000
"""Passages up to which the model makes the vectors."""
_SCOPES: dict[str, dict[str, str]] = {
    "all": {},
    "asset": {"asset": "line/3"},
    "collection": {"collection": "c3"},
}


class RandomVectors:
    """Stands in for a model that would take too long; the names are those of the real one."""

    def __init__(self, model: Embedder) -> None:
        """Take the model whose vectors these stand for."""
        self.name, self.dimension = model.name, model.dimension
        self.sample, self.stamp = model.sample, model.stamp
        self._dice = np.random.default_rng(22)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a random unit vector a text."""
        return unit(self._dice.standard_normal((len(texts), self.dimension), dtype=np.float32))

    def confirm(self, *, briefly: bool = False) -> None:
        """Stay what it is."""

    def rest(self) -> None:
        """Hold nothing."""

    def verify(self) -> None:
        """Have no file."""

    def close(self) -> None:
        """Hold nothing."""


def measure(folder: Path, n_passages: int = 10_000) -> dict[str, Any]:
    """Fill a corpus in `folder` and return the figures of one that was started on it afresh."""
    empty = _child("empty", folder / "empty", 0)
    filled = _child("fill", folder / "full", n_passages)
    files = [path for path in (folder / "full").rglob("*") if path.is_file()]
    disk = {path.suffix.lstrip("."): path.stat().st_size for path in files if path.stat().st_size}
    asked = _child("ask", folder / "full", n_passages)
    grown = asked["memory_mb"] - empty["memory_mb"]
    return {
        "passages": n_passages,
        "vectors": "of the model" if n_passages <= _EMBEDDED else "random",
        **filled,
        "disk_mb": round(sum(disk.values()) / 1e6, 1),
        "disk_bytes_per_passage": {name: size // n_passages for name, size in disk.items()},
        "memory_empty_mb": empty["memory_mb"],
        "memory_bytes_per_passage": round(grown * 2**20 / n_passages),
        **asked,
        "rebuilding": _child("rebuild", folder / "full", n_passages),
    }


def _child(what: str, folder: Path, n: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.retrieval", what, str(folder), str(n)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


async def _open(
    folder: Path, *, build: bool = True
) -> tuple[Corpus, Embedder, Indexer, Finder, bool]:
    """Open as the service does; the last says whether the saved index was loaded."""
    embedder = open_embedder(Embedding())
    corpus = await Corpus.open(folder / "corpus.db")
    indexer = Indexer(corpus, folder / "vectors")
    loaded = await indexer.use(embedder)
    if build:
        await indexer.fill()
    await corpus.measure()
    finder = Finder(
        corpus, Retriever().threshold, lambda _: None, Lexicon.load([SHIPPED]), Retriever().sure
    )
    finder.use(embedder, lambda: indexer.index)
    keep_short()
    return corpus, embedder, indexer, finder, loaded


def _manuals(n: int) -> Iterator[tuple[DocumentRef, list[Passage]]]:
    every = list(passages(n))
    for number, start in enumerate(range(0, n, _MANUAL)):
        document = DocumentRef(
            doc_id=f"bench{number}",
            revision=1,
            title=f"Bench manual {number}",
            file=f"bench{number}.pdf",
            assets=[f"line/{number}"],
            collection=f"c{number % 4}",
        )
        yield document, every[start : start + _MANUAL]


async def _fill(folder: Path, n: int) -> dict[str, Any]:
    corpus, embedder, indexer, finder, _ = await _open(folder)
    model = embedder if n <= _EMBEDDED else RandomVectors(embedder)
    vectorizer = Vectorizer(corpus, indexer, model)
    manuals = list(_manuals(n))
    began = time.perf_counter()
    for document, every in manuals:
        for start in range(0, len(every), _BATCH):
            batch = IndexPassages(document=document, passages=every[start : start + _BATCH])
            await indexer.take(batch)
        await indexer.activate(Activate(doc_id=document.doc_id, revision=1, passages=len(every)))
    searchable = time.perf_counter()
    await vectorizer.catch_up()
    complete = time.perf_counter()
    memory = memory_mb()
    await indexer.save()
    await vectorizer.close()
    await _close(corpus, embedder, indexer, finder)
    return {
        "searchable_per_passage_ms": round((searchable - began) / n * 1e3, 2),
        "vector_per_passage_ms": round((complete - searchable) / n * 1e3, 2),
        "memory_after_indexing_mb": memory,
    }


async def _empty(folder: Path) -> dict[str, Any]:
    """Measure the process that has nothing to search."""
    corpus, embedder, indexer, finder, _ = await _open(folder)
    await _times(finder, {}, _QUESTIONS // 10)
    memory = memory_mb()
    await _close(corpus, embedder, indexer, finder)
    return {"memory_mb": memory}


async def _ask(folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    corpus, embedder, indexer, finder, loaded = await _open(folder)
    opened = time.perf_counter()
    figures = {
        "loaded": loaded,
        "open_s": round(opened - began, 3),
        "questions": _QUESTIONS,
        **{
            f"search_ms_{name}": await _times(finder, scope, _QUESTIONS)
            for name, scope in _SCOPES.items()
        },
        "memory_mb": memory_mb(),
        "memory_own_mb": _own_mb(),
    }
    await _close(corpus, embedder, indexer, finder)
    return figures


async def _rebuild(folder: Path) -> dict[str, Any]:
    """Ask while the vectors' index is built from the corpus, as after its file was lost."""
    (folder / "vectors" / "vectors.json").unlink()
    corpus, embedder, indexer, finder, _ = await _open(folder, build=False)
    began = time.perf_counter()
    build = asyncio.create_task(indexer.fill())
    took: list[float] = []
    while not build.done():
        for question in questions(_QUESTIONS):
            if build.done():
                break
            started = time.perf_counter()
            await finder.find(Search(question=question))
            took.append((time.perf_counter() - started) * 1e3)
            await asyncio.sleep(0.05)
    await build
    figures = {
        "seconds": round(time.perf_counter() - began, 1),
        "asked": len(took),
        "search_ms": _quantiles(took),
        "memory_mb": memory_mb(),
    }
    await _close(corpus, embedder, indexer, finder)
    return figures


async def _times(finder: Finder, scope: dict[str, str], n: int) -> dict[str, Any]:
    parts: dict[str, list[float]] = {"total": []}
    found = 0
    for question in questions(n):
        started = time.perf_counter()
        result = await finder.find(Search(question=question, **scope))
        parts["total"].append((time.perf_counter() - started) * 1e3)
        for name, spent in result.took_ms.items():
            parts.setdefault(name, []).append(spent)
        found += bool(result.hits)
    return {"found": found, **{name: _quantiles(values) for name, values in parts.items()}}


def _own_mb() -> float:
    """Return the memory that is of no file, MiB: this process's alone, whatever else runs.

    The proportional set size has files as well, libraries and the model's weights, 48 MB: whole
    where no other process maps them, and half where one does.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(status.partition("RssAnon:")[2].split()[0]) / 1024, 1)


async def _close(corpus: Corpus, embedder: Embedder, indexer: Indexer, finder: Finder) -> None:
    finder.close()
    embedder.close()
    await indexer.close()
    await corpus.close()


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(ordered[len(ordered) // 2], 2),
        "p99": round(ordered[int(len(ordered) * 0.99)], 2),
    }


def _main(arguments: list[str]) -> None:
    if arguments and not arguments[0].isdigit():
        what, folder, n = arguments[0], Path(arguments[1]), int(arguments[2])
        folder.mkdir(parents=True, exist_ok=True)
        work = {
            "empty": lambda: _empty(folder),
            "fill": lambda: _fill(folder, n),
            "ask": lambda: _ask(folder),
            "rebuild": lambda: _rebuild(folder),
        }[what]
        print(json.dumps(asyncio.run(work())))
        return
    for size in arguments or ["10000"]:
        with tempfile.TemporaryDirectory() as temporary:
            print(json.dumps(measure(Path(temporary), int(size)), indent=1))


if __name__ == "__main__":
    _main(sys.argv[1:])
