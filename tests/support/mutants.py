"""Files that were good once: samples of every format, damaged by a seed, and a warm reader.

A reader's process takes most of its time to load its libraries. Here one process loads them
and forks for every file; what the fork runs is the reader's own `main`, its limits included.
"""

from __future__ import annotations

import io
import json
import os
import random
import select
import signal
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.ingest import frames, reader
from tests.support import formats
from tests.support.ingest import TOKENIZER, Drawn
from tests.support.sample import sample_manual
from tests.support.shared_data import shared_data

MEMORY_MB = 400
SECONDS = 30
OCR_SECONDS = 1.0
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


def warm() -> None:
    """Load what a reader loads; in the process that forks."""
    from services.ingest.partition import offline

    offline.prepare()
    import pptx  # noqa: F401
    import unstructured.partition.docx
    import unstructured.partition.html
    import unstructured.partition.md
    import unstructured.partition.pptx  # noqa: F401

    from services.ingest import chunking  # noqa: F401
    from services.ingest.partition import (  # noqa: F401
        epub,
        image,
        mail,
        odf,
        pdf,
        records,
        rtf,
        table,
        workbook,
    )


def outcome(name: str, data: bytes, folder: Path) -> Outcome:
    """Read a file in a fork of this process, with a reader's limits."""
    path = folder / "original"
    path.write_bytes(data)
    work = folder / "work"
    work.mkdir()
    job = frames.Job(
        path=str(path),
        name=name,
        tokenizer=TOKENIZER,
        memory_mb=MEMORY_MB,
        cpu_s=SECONDS,
        ocr_seconds=OCR_SECONDS,
        parent=os.getpid(),
    )
    began = time.monotonic()
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        _read(job, work, sending)
    os.close(sending)
    raw = bytearray()
    late = False
    while True:
        # The limit on processor time ends it long before, unless it waits for something.
        left = began + 8 * SECONDS - time.monotonic()
        if left <= 0 or not select.select([receiving], [], [], left)[0]:
            late = True
            os.kill(child, signal.SIGKILL)
            break
        block = os.read(receiving, 2**16)
        if not block:
            break
        raw += block
    os.close(receiving)
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - began
    said = (work / "stderr").read_text(errors="replace")[-1500:]
    left_behind = sorted(p.name for p in work.iterdir() if p.name != "stderr")
    for part in work.iterdir():
        part.unlink()
    work.rmdir()
    reason, well = _meaning(bytes(raw), os.waitstatus_to_exitcode(status), said, late=late)
    if left_behind:
        reason, well = f"left {left_behind} behind", False
    return Outcome(name, reason, well, seconds, usage.ru_maxrss / 1024)


def _read(job: frames.Job, work: Path, sending: int) -> None:
    """Be the reader; never returns."""
    code = 70
    try:
        os.setsid()
        os.chdir(work)
        os.environ["HOME"] = os.environ["TMPDIR"] = str(work)
        os.dup2(sending, 1)
        os.dup2(os.open(work / "stderr", os.O_WRONLY | os.O_CREAT), 2)
        code = reader.main(msgspec.json.encode(job).decode())
    except BaseException:  # noqa: BLE001  (told to the other side)
        import traceback

        os.write(2, traceback.format_exc().encode()[-1500:])
    finally:
        os._exit(code)


def _meaning(raw: bytes, code: int, said: str, *, late: bool) -> tuple[str, bool]:
    """What the frames and the exit say, and whether that is well."""
    if late:
        return "hung", False
    position, last = 0, None
    while position + frames.HEAD.size <= len(raw):
        (length,) = frames.HEAD.unpack_from(raw, position)
        last = frames.decode(raw[position + frames.HEAD.size :][:length])
        position += frames.HEAD.size + length
    match last:
        case frames.Done(passages=passages):
            return ("read", True) if passages else ("read, but no passage", False)
        case frames.Failed(kind="rejected" | "needs-ocr" | "memory", reason=reason) if reason:
            return reason, True
        case frames.Failed(kind=kind, reason=reason):
            return f"{kind}: {reason}", False
    # The service tells both apart by what it sees of the child; see sandbox.py.
    if code == -signal.SIGXCPU or "alloc" in said or "memory" in said.casefold():
        return "ended at a limit", True
    return f"crashed ({code}): {said[-600:]}", False
