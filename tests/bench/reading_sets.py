"""Public reading sets: whole passages, and questions each of which one passage answers.

    python -m tests.bench.reading_sets INPUT

asks our retriever, in a process of its own, as `tests.bench.peer` does the others.
"""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from schemas.retrieval import Activate, DocumentRef, IndexPassages, Passage, Search
from services.retriever.vectorizer import Vectorizer
from services.runtime.metrics import memory_mb
from tests.bench.peers import Answers
from tests.bench.retrieval import _close, _open

_BATCH = 200


def drcd(data: Path) -> dict[str, Any]:
    """Return paragraphs of articles in Chinese, their questions, and each one's paragraph."""
    told = json.loads((data / "qa_sets" / "drcd" / "DRCD_dev.json").read_text(encoding="utf-8"))
    paragraphs = [paragraph for article in told["data"] for paragraph in article["paragraphs"]]
    asked = [(qa["question"], n) for n, p in enumerate(paragraphs) for qa in p["qas"]]
    return {
        "lang": "zh",
        "texts": [paragraph["context"] for paragraph in paragraphs],
        "questions": [question for question, _ in asked],
        "gold": [n for _, n in asked],
    }


def emanual(data: Path) -> dict[str, Any]:
    """Return the sections of a telephone's manual, their questions, and each one's section."""
    folder = data / "qa_sets" / "emanual"
    sections = json.loads((folder / "s10_manual_corpus.json").read_text(encoding="utf-8"))
    paths = [
        [sections[name]["title"] for name in section["section_hierarchy"].split(">")]
        for section in sections.values()
    ]
    with (folder / "s10_50_questions.csv").open(encoding="utf-8", newline="") as file:
        asked = list(csv.DictReader(file))
    return {
        "lang": "en",
        "texts": [" ".join(section["text"]) for section in sections.values()],
        "questions": [row["question"] for row in asked],
        "gold": [_section(row["section_path"].split(">"), paths) for row in asked],
    }


def _section(wanted: list[str], paths: list[list[str]]) -> int:
    """Return the section of a path; a level that the sections do not have is passed over."""
    last = [n for n, path in enumerate(paths) if path[-1] == wanted[-1]]
    [found] = [n for n in last if all(title in wanted for title in paths[n])]
    return found


def ask(told: dict[str, Any]) -> Answers:
    """Return what our retriever finds of a set, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "set.json"
        given.write_text(json.dumps(told), encoding="utf-8")
        command = [sys.executable, "-m", "tests.bench.reading_sets", str(given)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Answers(**json.loads(done.stdout.splitlines()[-1]))


async def _measure(told: dict[str, Any], folder: Path) -> dict[str, Any]:
    corpus, embedder, indexer, finder, _ = await _open(folder)
    vectorizer = Vectorizer(corpus, indexer, embedder)
    document = DocumentRef(doc_id="set", revision=1, title="", file="set", lang=told["lang"])
    texts = told["texts"]
    begun = time.perf_counter()
    for start in range(0, len(texts), _BATCH):
        batch = [
            Passage(ordinal=n, text=text, lang=told["lang"])
            for n, text in enumerate(texts[start : start + _BATCH], start=start)
        ]
        await indexer.take(IndexPassages(document=document, passages=batch))
    await indexer.activate(Activate(doc_id="set", revision=1, passages=len(texts)))
    await vectorizer.catch_up()
    index_s = round(time.perf_counter() - begun, 1)
    found, times = [], []
    searches = [Search(question=q, lang=told["lang"], limit=told["k"]) for q in told["questions"]]
    await finder.find(searches[0])  # as the peers: what the first one loads is not counted
    for search in searches:
        started = time.perf_counter()
        result = await finder.find(search)
        times.append((time.perf_counter() - started) * 1e3)
        found.append([hit.passage.ordinal for hit in result.hits])
    figures = {"found": found, "times_ms": times, "memory_mb": memory_mb(), "index_s": index_s}
    await vectorizer.close()
    await _close(corpus, embedder, indexer, finder)
    return figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        print(json.dumps(asyncio.run(_measure(given, Path(temporary)))))
