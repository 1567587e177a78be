"""Files that were good once: samples of every format, damaged by a seed, and read."""

from __future__ import annotations

import io
import json
import random
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.ingest import frames, sandbox
from services.ingest.readers import Readers
from services.runtime.errors import AndonError, Rejected
from tests.support import formats
from tests.support.ingest import TOKENIZER, Drawn
from tests.support.sample import sample_manual
from tests.support.shared_data import shared_data

MEMORY_MB = 400
SECONDS = 120.0
OCR_SECONDS = 1.0
_UNWELL = (" s to read", "crashed over it", "went wrong over it")
"""Reasons that name a mistake of the reader: it waited for something, or did not tell."""
_SMALL = 200_000
"""Bytes up to which a shared file is taken for a sample."""
_SHARED = 25
"""Shared files taken."""

_PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>手册</title></head>
<body><h1>Faults</h1><p>Read this.</p><table><tr><th>Code</th><th>Cause</th></tr>
<tr><td>E1</td><td>low</td></tr></table></body></html>"""
_TEXTS = {
    "a.html": _PAGE,
    "a.md": "# Faults\n\nRead this.\n\n| Code | Cause |\n|---|---|\n| E1 | low |\n\n- one\n- two\n",
    "a.rst": "Manual\n======\n\nHello.\n\nFaults\n------\n\nE1 is bad.\n",
    "a.txt": "1 Faults\n\nE1 is bad.\n\nE2 Overvoltage\nCause: mains high\nRemedy: wait\n",
    "a.csv": 'Code;Cause\nE1;"low; or lost"\nE2;high\n',
    "a.json": json.dumps({"robot": [{"id": 16, "en": {"cause": "x"}}, {"id": 17}], "version": 3}),
    "zh.txt": "故障代码说明\n\n过压：检查电源电压。\n",
}


@dataclass(slots=True, frozen=True)
class Outcome:
    """What became of a file."""

    name: str
    reason: str
    """`read`, the reason it could not be, or what went wrong with the reader."""
    well: bool
    """Whether it was read, or failed with a reason."""
    seconds: float
    peak_mb: float
    """Most memory it had, MiB; 0 where it could not be read."""


def every_format(folder: Path) -> list[Path]:
    """A good file of every format, and of some encodings."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [make(folder / name) for name, make in formats.MAKERS.items()]
    for name, text in _TEXTS.items():
        for encoding in ("utf-8", "gb18030", "utf-16") if name == "zh.txt" else ("utf-8",):
            path = folder / (name if encoding == "utf-8" else f"{encoding}-{name}")
            path.write_bytes(text.encode(encoding))
            found.append(path)
    picture = formats.sheet_picture(size=24).crop((130, 140, 900, 440))
    for name in ("a.png", "a.jpg", "a.tif", "a.gif", "a.bmp"):
        picture.convert("L").save(folder / name)
        found.append(folder / name)
    found += [sample_manual(folder, kind) for kind in ("pdf", "docx")]
    drawn = Drawn(folder / "ruled.pdf")
    drawn.bookmark("Faults")
    drawn.line("Faults", size=16, bold=True)
    drawn.table(formats.ROWS[:3], [72, 150, 300, 450], 20)
    found.append(drawn.save())
    return found


def samples(folder: Path) -> list[Path]:
    """Good files of every format, and real ones where there are such."""
    found = every_format(folder)
    data = shared_data()
    if data:
        small = [
            path
            for part in (
                "manuals/other",
                "bad_inputs/pdf_odd_but_valid",
                "bad_inputs/pdf_malformed",
            )
            for path in sorted((data / part).rglob("*"))
            if path.is_file() and path.stat().st_size < _SMALL and path.suffix != ".jpeg"
        ]
        found += random.Random(4).sample(small, min(_SHARED, len(small)))
    return found


def mutants(paths: list[Path], seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of damaged files, without end."""
    chance = random.Random(seed)
    good = [(path.name, path.read_bytes()) for path in paths]
    while True:
        name, data = chance.choice(good)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            data = chance.choice(_WAYS)(data, chance, good)
        yield name, data


def _flip(data: bytes, chance: random.Random, _good: list[tuple[str, bytes]]) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 4, 32, max(1, len(data) // 200))) if data else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random, _good: list[tuple[str, bytes]]) -> bytes:
    return data[: chance.randrange(len(data))] if data else data


def _drop(data: bytes, chance: random.Random, _good: list[tuple[str, bytes]]) -> bytes:
    start = chance.randrange(len(data)) if data else 0
    return data[:start] + data[start + chance.choice((1, 16, 1024)) :]


def _splice(data: bytes, chance: random.Random, good: list[tuple[str, bytes]]) -> bytes:
    other = chance.choice(good)[1]
    start = chance.randrange(len(other)) if other else 0
    place = chance.randrange(len(data)) if data else 0
    piece = other[start : start + chance.choice((8, 256, 8192))]
    return data[:place] + piece + data[place + chance.choice((0, len(piece))) :]


def _repeat(data: bytes, chance: random.Random, _good: list[tuple[str, bytes]]) -> bytes:
    start = chance.randrange(len(data)) if data else 0
    piece = data[start : start + chance.choice((4, 64, 512))]
    return data[:start] + piece * chance.choice((2, 50, 2000)) + data[start:]


def _number(data: bytes, chance: random.Random, _good: list[tuple[str, bytes]]) -> bytes:
    """Replace a number of the text, or of the header, by one that is far too large."""
    digits = [i for i, byte in enumerate(data[:100_000]) if 48 <= byte <= 57]
    if not digits:
        return _flip(data, chance, [])
    place = chance.choice(digits)
    return data[:place] + chance.choice((b"-1", b"0", b"99999999999", b"1e999")) + data[place + 1 :]


def _member(data: bytes, chance: random.Random, good: list[tuple[str, bytes]]) -> bytes:
    """Damage one part of an archive and pack it anew, so that the damage gets past the packing."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, OSError, zlib.error, NotImplementedError, RuntimeError):
        return _flip(data, chance, good)
    if not parts:
        return data
    name = chance.choice(sorted(parts))
    way = chance.choice((_flip, _cut, _drop, _splice, _repeat, _number))
    match chance.randrange(8):
        case 0:
            del parts[name]
        case 1:
            parts[name] = b""
        case _:
            parts[name] = way(parts[name], chance, good)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return packed.getvalue()


_WAYS: tuple[Callable[[bytes, random.Random, list[tuple[str, bytes]]], bytes], ...] = (
    _flip,
    _cut,
    _drop,
    _splice,
    _repeat,
    _number,
    _member,
    _member,
    _member,
)


async def outcome(readers: Readers, name: str, data: bytes, folder: Path) -> Outcome:
    """Read a file as the service does, in a fork of a process that stays."""
    path = folder / "original"
    path.write_bytes(data)
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = str(temporary)
    peak = 0.0

    def ignore(*_told: object) -> None:
        pass

    began = time.monotonic()
    try:
        done = await sandbox.read(
            readers,
            frames.Job(path=str(path), name=name, tokenizer=TOKENIZER, ocr_seconds=OCR_SECONDS),
            sandbox.Limits(memory_mb=MEMORY_MB, seconds=SECONDS),
            progress=ignore,
            batch=ignore,
        )
    except Rejected as error:
        reason, well = error.reason, not any(words in error.reason for words in _UNWELL)
    except AndonError as error:
        reason, well = f"{error.kind}: {error}", False
    else:
        peak = done.peak_mb
        reason, well = ("read", True) if done.passages else ("read, but no passage", False)
    finally:
        tempfile.tempdir = None
    seconds = time.monotonic() - began
    if left_behind := sorted(found.name for found in temporary.iterdir()):
        reason, well = f"left {left_behind} behind", False
    return Outcome(name, reason, well, seconds, peak)
