"""How right the passages are: real manuals and reading sets, for Andon and for its peers.

Peers get the same documents: of a PDF the words of its text layer (pypdfium2), of all else what our
readers made of it, in chunks of 512 tokens. A chunk counts for every page it has words of, a
passage of Andon's for the page it begins on.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pypdfium2

from services import gold, measures
from services.gold import Question
from services.measures import Figures, Seen
from services.retriever.records import passage_of
from tests.bench import peers, reading_sets
from tests.bench.chunks import Chunk, Cutter
from tests.bench.peers import Answers, NotToBeHad
from tests.support.andon import ROOT, Andon
from tests.support.shared_data import shared_data

KS = (1, 3, 5)
FORMS = ("{code}", gold.ABOUT_A_CODE, "报警{code}是什么意思?怎么处理?")
LIST = "SINAMICS_G120_CU240BE2_List_Manual.pdf"
_SCAN = 20
"""Letters a page: with fewer a PDF is a scan, and has no text to give."""

_NO_DATA = {"skipped": "no real manuals beside this checkout (shared/data)"}


def measure() -> dict[str, Any]:
    """Return the figures of the questions about real manuals."""
    data = shared_data()
    if data is None:
        return _NO_DATA
    return {"manuals": _manuals(data), "versions": _versions()}


def sets() -> dict[str, Any]:
    """Return the figures of the public reading sets."""
    data = shared_data()
    if data is None:
        return _NO_DATA
    return {
        "drcd": _reading(reading_sets.drcd(data), ("chroma", "bm25s", "bm25s-jieba", "txtai")),
        "emanual": _reading(reading_sets.emanual(data), ("chroma", "bm25s", "txtai")),
        "versions": _versions(),
    }


def _versions() -> dict[str, Any]:
    return {kind: _or_why(lambda kind=kind: peers.versions(kind)) for kind in peers.NEEDS}


def _or_why(work: Callable[[], Any]) -> Any:
    """Return what a peer's work gives, or why there is none."""
    try:
        return work()
    except NotToBeHad as why:
        return {"not measured": str(why)}


def _manuals(data: Path) -> dict[str, Any]:
    """Measure on the questions about real manuals, and on the codes of a fault list."""
    with tempfile.TemporaryDirectory() as folder, Andon(Path(folder)) as andon:
        _cli(andon, "add", str(data / "manuals"), "--json")
        # The questions lie beside the manuals: read as documents, they would answer themselves.
        _cli(andon, "remove", *(path.name for path in (data / "manuals").glob("*.jsonl")))
        return of_library(andon, data, Path(folder))


def of_library(andon: Andon, data: Path, folder: Path) -> dict[str, Any]:
    """Return the figures of an Andon that has read all manuals, and of its peers on the same."""
    sets = {
        "questions": (data / "manuals" / "qa_dev.jsonl", ()),
        "fault list": (data / "gold" / "g120_dev.json", FORMS),
    }
    asked: dict[str, list[Question]] = {}
    found: dict[str, Any] = {}
    for name, (file, forms) in sets.items():
        asked[name], _ = gold.read(file.read_bytes(), doc=LIST, forms=forms)
        out = folder / f"{name}.json"
        said = [word for form in forms for word in ("--form", form)]
        _cli(andon, "eval", str(file), *said, "--doc", LIST, "--out", str(out))
        found[name] = {"Andon": json.loads(out.read_text(encoding="utf-8"))["figures"]}
    memory = {"Andon": andon.json_status()["retriever"]["memory_mb"]}
    chunks = list(_chunks(data / "manuals", andon.data / "corpus.db"))
    every = [question for questions in asked.values() for question in questions]
    for kind in ("bm25s", "chroma", "txtai"):
        peer = peers.NAMES[kind]
        try:
            got = peers.ask(kind, [c.text for c in chunks], [q.question for q in every], KS[-1])
        except NotToBeHad as why:
            memory[peer] = f"not measured: {why}"
            continue
        memory[peer] = got.memory_mb
        first = 0
        for name, questions in asked.items():
            part = slice(first, first := first + len(questions))
            found[name][peer] = _judged(questions, chunks, got.found[part], got.times_ms[part])
    return {"chunks": len(chunks), "memory_mb": memory, **found}


def _judged(
    questions: Sequence[Question],
    chunks: Sequence[Chunk],
    found: Sequence[Sequence[int]],
    times_ms: Sequence[float],
) -> dict[str, Figures]:
    """Return a peer's figures by the measures that Andon's are made with."""
    results = [
        msgspec.structs.replace(
            measures.judge(question, [_seen(chunks[n]) for n in numbers]),
            refused=not numbers,
            search_ms=took,
        )
        for question, numbers, took in zip(questions, found, times_ms, strict=True)
    ]
    return measures.grouped(results, KS)


def _seen(chunk: Chunk) -> Seen:
    return Seen(file=chunk.file, pages=chunk.pages, forms=[measures.tight(chunk.text)])


def _cli(andon: Andon, *arguments: str) -> None:
    """Run a command, however long it takes; files that cannot be read do not stop it."""
    command = [sys.executable, "-m", "services.cli", *arguments]
    command += ["--config", str(andon.running_config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"andon {arguments[0]}: {done.stderr}")


def _chunks(folder: Path, corpus: Path) -> Iterator[Chunk]:
    """Yield the chunks of all documents that Andon has."""
    cutter = Cutter()
    with closing(sqlite3.connect(f"file:{corpus}?mode=ro", uri=True)) as database:
        documents = database.execute("SELECT id, file FROM documents WHERE active").fetchall()
        for number, file in documents:
            pages = _text_layer(folder / file) if file.endswith(".pdf") else []
            if sum(len(text) for _, text in pages) < _SCAN * len(pages) or not pages:
                rows = database.execute(
                    "SELECT content FROM passages WHERE document = ? ORDER BY ordinal", (number,)
                )
                ours = [passage_of(content) for (content,) in rows]
                pages = [(passage.page, passage.text) for passage in ours]
            yield from cutter.chunks(file, pages)


def _text_layer(file: Path) -> list[tuple[int | None, str]]:
    with closing(pypdfium2.PdfDocument(file)) as document:
        return [(n, page.get_textpage().get_text_range()) for n, page in enumerate(document, 1)]


def _reading(told: dict[str, Any], kinds: Sequence[str]) -> dict[str, Any]:
    """Measure on a reading set, where the passages are given and the same for all."""
    told["k"] = KS[-1]
    figures: dict[str, Any] = {"passages": len(told["texts"]), "questions": len(told["gold"])}
    figures["Andon"] = _of_set(told["gold"], reading_sets.ask(told))
    for kind in kinds:
        figures[peers.NAMES[kind]] = _or_why(
            lambda kind=kind: _of_set(
                told["gold"], peers.ask(kind, told["texts"], told["questions"], KS[-1])
            )
        )
    return figures


def _of_set(right: Sequence[int], got: Answers) -> Figures:
    ranks = [
        found.index(wanted) + 1 if wanted in found else 0
        for wanted, found in zip(right, got.found, strict=True)
    ]
    figures: dict[str, float | None] = {
        f"recall@{k}": measures.share(measures.within(rank, k) for rank in ranks) for k in KS
    }
    figures["mrr"] = measures.mean([1 / rank if rank else 0.0 for rank in ranks])
    figures["search_p50_ms"] = measures.quantile(got.times_ms, 0.5)
    figures["search_p99_ms"] = measures.quantile(got.times_ms, 0.99)
    figures |= {"memory_mb": got.memory_mb, "index_s": got.index_s}
    return {name: value for name, value in figures.items() if value is not None}
