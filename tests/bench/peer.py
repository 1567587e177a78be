"""What users would pick instead, run in an environment of its own: no import of ours.

    python peer.py KIND fill|ask MODEL FOLDER INPUT

INPUT is JSON: `{"texts": […]}` to fill, `{"questions": […], "k": N}` to ask. The last line printed
is JSON. Each peer is used with its defaults, only its model is named: nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {
    "ANONYMIZED_TELEMETRY": "False",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "0",
}
_BATCH = 1000


class Chroma:
    """Chroma with sentence-transformers, cosine."""

    def __init__(self, model: str, folder: Path) -> None:
        import chromadb
        from chromadb.utils import embedding_functions as functions

        embed: Any = functions.SentenceTransformerEmbeddingFunction(model_name=model)
        self._collection = chromadb.PersistentClient(str(folder)).get_or_create_collection(
            "passages", embedding_function=embed, configuration={"hnsw": {"space": "cosine"}}
        )

    def fill(self, texts: list[str]) -> None:
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            ids = [str(n) for n in range(start, start + len(batch))]
            self._collection.add(ids=ids, documents=batch)

    def ask(self, question: str, k: int) -> list[int]:
        found = self._collection.query(query_texts=[question], n_results=k)
        return [int(name) for name in found["ids"][0]]


class Bm25:
    """bm25s over the words it makes by default."""

    def __init__(self, _model: str, folder: Path) -> None:
        import bm25s

        self._bm25s: Any = bm25s
        self._folder = folder / "bm25s"
        if self._folder.exists():
            self._index: Any = bm25s.BM25.load(str(self._folder), load_corpus=True)

    def words(self, texts: list[str]) -> Any:
        return self._bm25s.tokenize(texts, return_ids=False, show_progress=False)

    def fill(self, texts: list[str]) -> None:
        self._index = self._bm25s.BM25()
        self._index.index(self.words(texts), show_progress=False)
        self._index.save(str(self._folder), corpus=texts)

    def ask(self, question: str, k: int) -> list[int]:
        [words] = self.words([question])
        known = [word for word in words if word in self._index.vocab_dict]
        if not known:
            return []
        found, scores = self._index.retrieve([known], k=k, show_progress=False)
        return [int(one["id"]) for one, score in zip(found[0], scores[0], strict=True) if score > 0]


class Bm25Jieba(Bm25):
    """bm25s over jieba's words."""

    def words(self, texts: list[str]) -> Any:
        import jieba

        jieba.setLogLevel("ERROR")
        return [
            [word.lower() for word in jieba.lcut(text) if any(map(str.isalnum, word))]
            for text in texts
        ]


class Txtai:
    """txtai, hybrid: its BM25 and vectors."""

    def __init__(self, model: str, folder: Path) -> None:
        from txtai import Embeddings

        self._folder = str(folder / "txtai")
        self._index: Any = Embeddings(path=model, hybrid=True)
        if Path(self._folder).exists():
            self._index.load(self._folder)

    def fill(self, texts: list[str]) -> None:
        self._index.index(enumerate(texts))
        self._index.save(self._folder)

    def ask(self, question: str, k: int) -> list[int]:
        return [int(name) for name, _ in self._index.search(question, k)]


KINDS = {"chroma": Chroma, "bm25s": Bm25, "bm25s-jieba": Bm25Jieba, "txtai": Txtai}


def memory_mb() -> float:
    """Return this process's proportional set size, MiB."""
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError("this kernel does not tell the memory of a process")


def main() -> None:
    kind, what, model, folder, given = sys.argv[1:]
    told = json.loads(Path(given).read_text(encoding="utf-8"))
    begun = time.perf_counter()
    peer = KINDS[kind](model, Path(folder))
    if what == "fill":
        peer.fill(told["texts"])
        print(json.dumps({"index_s": round(time.perf_counter() - begun, 1)}))
        return
    questions, k = told["questions"], told["k"]
    peer.ask(questions[0], k)  # what is loaded at the first question is no part of a search
    found, times = [], []
    for question in questions:
        started = time.perf_counter()
        found.append(peer.ask(question, k))
        times.append((time.perf_counter() - started) * 1e3)
    print(json.dumps({"found": found, "times_ms": times, "memory_mb": memory_mb()}))


if __name__ == "__main__":
    main()
