"""A folder of web pages and Word files: read by us to passages, by unstructured to elements.

Run as a program it is unstructured's side: a process of its own, as it comes, into which nothing of
ours is loaded. Its spaCy model, which it would download, is a blank one that splits sentences only,
which is faster than the real one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import docx

from services.ingest import frames, sandbox
from services.ingest.partition.offline import ENVIRONMENT
from services.ingest.readers import Readers
from tests.support.ingest import TOKENIZER

FILES = 40
"""Of each kind."""
SMALL = 20
"""Readings of each small file."""
_KINDS = ("html", "docx")
_WORDS = """supply voltage motor drive inverter fault alarm reset check cable brake resistor encoder
speed limit current temperature cooling fan parameter terminal relay contactor line phase overload
control unit power module cause remedy measure replace value signal threshold""".split()  # noqa: SIM905
_HEADER = ("Code", "Name", "Cause", "Remedy")
_SMALL = {
    "a.txt": "1 Faults\n\nE1 is bad.\n\nE2 Overvoltage\nCause: mains high\nRemedy: wait\n",
    "a.csv": "Code;Cause\nE1;low\nE2;high\n",
    "a.md": "# Faults\n\nRead this.\n\n| Code | Cause |\n|---|---|\n| E1 | low |\n",
    "a.html": "<!doctype html><title>x</title><h1>Faults</h1><p>Read this.</p><table><tr><th>Code"
    "</th><th>Cause</th></tr><tr><td>E1</td><td>low</td></tr></table>",
}
_Section = tuple[str, list[str], list[str], list[tuple[str, ...]]]


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(8, 18))).capitalize() + "."


def _sections(chance: random.Random, count: int, rows: int) -> list[_Section]:
    """Return headings, each with paragraphs, a list and a table of faults."""
    return [
        (
            f"{number} {_sentence(chance)[:40]}",
            [" ".join(_sentence(chance) for _ in range(4)) for _ in range(6)],
            [_sentence(chance) for _ in range(5)],
            [
                (f"E{number}{row:02}", _sentence(chance)[:30], _sentence(chance), _sentence(chance))
                for row in range(rows)
            ],
        )
        for number in range(1, count + 1)
    ]


def _web_page(path: Path, sections: list[_Section]) -> None:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    parts = ["<!doctype html><html><head><meta charset='utf-8'><title>Manual</title></head><body>"]
    for heading, paragraphs, items, rows in sections:
        parts.append(f"<h2>{heading}</h2>\n")
        parts += [f"<p>{text}</p>\n" for text in paragraphs]
        parts.append("<ul>" + "".join(f"<li>{item}</li>\n" for item in items) + "</ul>\n")
        parts.append("<table>" + row(_HEADER, "th"))
        parts += [row(cells, "td") + "\n" for cells in rows]
        parts.append("</table>\n")
    path.write_text("".join(parts) + "</body></html>\n", encoding="utf-8")


def _word_file(path: Path, sections: list[_Section]) -> None:
    document = docx.Document()
    for heading, paragraphs, items, rows in sections:
        document.add_heading(heading, 2)
        for text in paragraphs:
            document.add_paragraph(text)
        for item in items:
            document.add_paragraph(item, style="List Bullet")
        table = document.add_table(0, len(_HEADER))
        for cells in (_HEADER, *rows):
            for cell, text in zip(table.add_row().cells, cells, strict=True):
                cell.text = text
    document.save(str(path))


def _make(folder: Path) -> dict[str, list[Path]]:
    """Make the files: 30 to 90 KB of HTML, 10 to 30 rows a table."""
    chance = random.Random(4)
    found: dict[str, list[Path]] = {kind: [] for kind in _KINDS}
    for number in range(FILES):
        sections = _sections(chance, chance.randint(5, 9), chance.randint(10, 30))
        for kind, write in zip(_KINDS, (_web_page, _word_file), strict=True):
            path = folder / f"{number}.{kind}"
            write(path, sections)
            found[kind].append(path)
    return found


def _processor(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


class _Ours:
    """Our reader, its child process and all that runs it included."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def read(self, path: Path) -> tuple[float, float]:
        """Return seconds and processor seconds."""
        began, used = time.perf_counter(), self._used()
        await sandbox.read(
            self._readers,
            frames.Job(path=str(path), name=path.name, tokenizer=TOKENIZER),
            sandbox.Limits(),
            progress=lambda _done, _total: None,
            batch=lambda _passages: None,
        )
        return time.perf_counter() - began, self._used() - used

    def zygote(self) -> tuple[float, float]:
        """Return the processor seconds and the memory (PSS, MB) of what readers are forked from."""
        pid = self._readers.pid
        if not pid:
            return 0.0, 0.0
        fields = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        return int(fields[0]) / 1e9, pss / 1024

    def _used(self) -> float:
        own = _processor(resource.RUSAGE_SELF) + _processor(resource.RUSAGE_CHILDREN)
        return own + self.zygote()[0]


class _Theirs:
    """unstructured in a process that stays."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.folder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT,
        )
        self.imports = self._told()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def read(self, path: Path, *, detect: bool) -> tuple[float, float]:
        """Return seconds and processor seconds; `detect`: languages, as it does by itself."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([str(path), detect]) + "\n")
        self._process.stdin.flush()
        return self._told()

    def _told(self) -> tuple[float, float]:
        assert self._process.stdout
        seconds, processor = json.loads(self._process.stdout.readline())
        return seconds, processor


def measure() -> dict[str, Any]:
    """Return medians of seconds and processor seconds a file, in turns, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> dict[str, Any]:
    files = _make(folder)
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    async with Readers(idle_s=600.0) as readers:
        ours = _Ours(readers)
        with _Theirs() as theirs:
            for html, word in zip(*files.values(), strict=True):
                for path in (html, word):
                    for who, seen in (
                        ("ours", await ours.read(path)),
                        ("unstructured", theirs.read(path, detect=True)),
                        ("without_languages", theirs.read(path, detect=False)),
                    ):
                        times.setdefault((path.suffix[1:], who), []).append(seen)
        result: dict[str, Any] = {"readers_come_from_pss_mb": round(ours.zygote()[1], 1)}
        small = {name: await _small(ours, folder, name) for name in (*_SMALL, "a.docx")}
    for kind in _KINDS:
        result[kind] = _beside(times, kind, theirs.imports)
    return result | {"small_files": small}


async def _small(ours: _Ours, folder: Path, name: str) -> dict[str, float]:
    path = folder / name
    if name in _SMALL:
        path.write_text(_SMALL[name], encoding="utf-8")
    else:
        _word_file(path, [("Faults", ["Read this."], [], [("E1", "low", "mains", "wait")])])
    seen = [await ours.read(path) for _ in range(SMALL)]
    return {
        "seconds": round(statistics.median(s for s, _ in seen), 3),
        "processor_seconds": round(statistics.median(p for _, p in seen), 3),
    }


def _beside(
    times: dict[tuple[str, str], list[tuple[float, float]]],
    kind: str,
    imports: tuple[float, float],
) -> dict[str, Any]:
    names = ("seconds", "processor_seconds")
    found: dict[str, Any] = {}
    for index, name in enumerate(names):
        middle = {
            who: statistics.median(one[index] for one in seen)
            for (of, who), seen in times.items()
            if of == kind
        }
        # Loading shared by the files of the folder: ours is in its first file.
        whole = sum(one[index] for one in times[kind, "ours"])
        whole_theirs = sum(one[index] for one in times[kind, "unstructured"]) + imports[index]
        found |= {
            f"{name}": round(middle["ours"], 3),
            f"unstructured_{name}": round(middle["unstructured"], 3),
            f"unstructured_{name}_without_languages": round(middle["without_languages"], 3),
            f"ratio_{name}": round(middle["ours"] / middle["unstructured"], 2),
            f"ratio_{name}_without_languages": round(
                middle["ours"] / middle["without_languages"], 2
            ),
            f"ratio_{name}_with_imports": round(whole / whole_theirs, 2),
        }
    return found


def _unstructured() -> None:
    """Be unstructured's side: answer each line with what its file took."""
    began, used = time.perf_counter(), time.process_time()
    import spacy
    from unstructured.nlp import tokenize
    from unstructured.partition.docx import partition_docx
    from unstructured.partition.html import partition_html

    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    tokenize._get_nlp = lambda: blank
    partition: dict[str, Callable[..., Any]] = {".html": partition_html, ".docx": partition_docx}
    answer = [time.perf_counter() - began, time.process_time() - used]
    while True:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        path, detect = json.loads(line)
        began, used = time.perf_counter(), time.process_time()
        more = {} if detect else {"languages": [""]}
        partition[Path(path).suffix](filename=path, **more)
        answer = [time.perf_counter() - began, time.process_time() - used]


if __name__ == "__main__":
    _unstructured()
