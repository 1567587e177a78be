"""Reading: the 820 pages beside pdfplumber's text and tables, and a folder beside unstructured."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pdfplumber

from schemas.retrieval import Passage
from services.ingest import frames, sandbox
from services.ingest.readers import Readers
from tests.bench import folder
from tests.support.ingest import TOKENIZER
from tests.support.shared_data import shared_data

MANUAL = "SINAMICS_G120_CU240BE2_List_Manual.pdf"
SAMPLES = 8
"""Stretches of the manual that pdfplumber reads; the whole takes it minutes."""
LENGTH = 10
"""Pages of a stretch."""


def measure() -> dict[str, Any]:
    """Return the figures of the 820 pages, and those of a folder of web pages and Word files."""
    return {"manual": _manual(), "folder": folder.measure()}


def _manual() -> dict[str, Any]:
    """Return seconds, processor seconds and peak memory of both.

    Our reader takes the whole manual, child process and imports included; pdfplumber, in this
    process, pages evenly spread over it. Stretches of both take turns with the machine's moods:
    processor time is what to compare where others work on it, too.
    """
    data = shared_data()
    if data is None:
        return {"skipped": "no real manuals beside this checkout (shared/data)"}
    path = data / "manuals" / MANUAL
    before = _pdfplumber(path, 0)
    ours = asyncio.run(_ours(path))
    after = _pdfplumber(path, 1)
    theirs = {key: (before[key] + after[key]) / 2 for key in before}
    pages = ours["pages"]
    return {
        "pages": pages,
        "passages": ours["passages"],
        "seconds": round(ours["seconds"], 1),
        "processor_seconds": round(ours["processor"], 1),
        "reader_peak_mb": ours["peak_mb"],
        f"pdfplumber_seconds_from_{2 * SAMPLES * LENGTH}_pages": round(theirs["page"] * pages, 1),
        "pdfplumber_processor_seconds": round(theirs["page_processor"] * pages, 1),
        "times_faster": round(theirs["page"] * pages / ours["seconds"], 1),
        "times_faster_processor": round(theirs["page_processor"] * pages / ours["processor"], 1),
    }


async def _ours(path: Path) -> dict[str, Any]:
    found: list[Passage] = []
    begun, used = time.monotonic(), os.times()
    async with Readers() as readers:
        done = await sandbox.read(
            readers,
            frames.Job(path=str(path), name=path.name, tokenizer=TOKENIZER),
            sandbox.Limits(),
            progress=lambda _done, _total: None,
            batch=found.extend,
        )
    after = os.times()
    return {
        "pages": done.pages or 0,
        "passages": len(found),
        "seconds": time.monotonic() - begun,
        "processor": sum(after[2:4]) - sum(used[2:4]),
        "peak_mb": done.peak_mb,
    }


def _pdfplumber(path: Path, turn: int) -> dict[str, float]:
    """Return seconds and processor seconds a page, opening left out."""
    pages = 0
    with pdfplumber.open(path) as pdf:
        step = len(pdf.pages) // SAMPLES
        begun, used = time.monotonic(), time.process_time()
        for start in range(turn * LENGTH, len(pdf.pages), step):
            for page in pdf.pages[start : start + LENGTH]:
                page.extract_text()
                page.extract_tables()
                page.close()
                pages += 1
        seconds, processor = time.monotonic() - begun, time.process_time() - used
    return {"page": seconds / pages, "page_processor": processor / pages}
