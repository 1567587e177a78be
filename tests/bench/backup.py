"""Backup and restore of a library of 1,000 pages and more, while Andon runs: time and size."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.andon import ROOT, Andon
from tests.support.shared_data import shared_data

PAGES = 1000
_ASKED = "the drive trips with F30002 when braking"
_LARGE = "SINAMICS_G120_CU240BE2_List_Manual.pdf"
_MB = 2**20
_LOOK_S = 0.02
_SAME_WITHIN_S = 60.0


def _run(*arguments: object) -> tuple[Any, dict[str, float]]:
    """Run `andon … --json`; return what it printed, and what it took."""
    command = [sys.executable, "-m", "services.cli", *map(str, arguments), "--json"]
    begun = time.monotonic()
    peak = 0.0
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out)
        while process.poll() is None:
            peak = max(peak, _peak_mb(process.pid))
            time.sleep(_LOOK_S)
        took = time.monotonic() - begun
        out.seek(0)
        printed = out.read()
    if process.returncode:
        raise RuntimeError(f"{command}: {printed.decode()}")
    # Of the whole process, Python and libraries included.
    return json.loads(printed), {
        "seconds": round(took, 2),
        "memory_peak_mb": round(peak, 1),
    }


def _peak_mb(pid: int) -> float:
    """Return the most a process had in memory so far, MiB; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kilobytes[0]) / 1024 if kilobytes else 0.0


def _size(folder: Path) -> float:
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return round(used / _MB, 1)


def _fill(andon: Andon, manuals: Path) -> tuple[int, int, int]:
    """Add manuals until there are pages enough; return documents, pages and passages."""
    others = sorted(path for path in manuals.glob("*.pdf") if path.name != _LARGE)
    documents = pages = passages = 0
    for path in (manuals / _LARGE, *others):
        if pages >= PAGES:
            break
        [state] = json.loads(andon.cli("add", str(path), "--json", timeout=1800).stdout)
        if state["state"] == "ready":
            documents, pages = documents + 1, pages + (state["pages"] or 0)
            passages += state["passages"]
    return documents, pages, passages


def measure() -> dict[str, Any]:
    """Return the figures."""
    data = shared_data()
    if data is None:
        return {"skipped": "no real manuals beside this checkout (shared/data)"}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as name:
        folder = Path(name)
        key = folder / "key"
        key.write_text("a key for measuring only", encoding="utf-8")
        (folder / "first").mkdir()
        ways = {"plain": [], "encrypted": ["--key-file", key]}
        with Andon(folder / "first") as andon:
            documents, pages, passages = _fill(andon, data / "manuals")
            figures["library"] = {"documents": documents, "pages": pages, "passages": passages}
            config = ["--config", andon.running_config]
            for way, more in ways.items():
                for which in ("first", "again"):
                    made, took = _run("backup", folder / way, *more, *config)
                    written = {"written_mb": round(made["written"] / _MB, 1)}
                    figures[f"backup_{way}_{which}"] = {**took, **written}
                figures[f"size_{way}_mb"] = _size(folder / way)
            figures["data_mb"] = round(made["head"]["size"] / _MB, 1)
            asked = andon.json("search", _ASKED)
        for way, more in ways.items():
            second = folder / f"second-{way}"
            second.mkdir()
            _, took = _run(
                "restore", folder / way, "--to", second / "data", *more,
                "--config", folder / "first" / "given.yaml",
            )  # fmt: skip
            figures[f"restore_{way}"] = took
        begun = time.monotonic()
        with Andon(folder / "second-encrypted") as andon:
            figures["start_after_restore_s"] = round(time.monotonic() - begun, 2)
            # By meaning it finds what it found when its index is built again.
            while andon.json("search", _ASKED) != asked:
                if time.monotonic() - begun > _SAME_WITHIN_S:
                    raise RuntimeError("the second Andon does not find what the first did")
            figures["finds_the_same_after_s"] = round(time.monotonic() - begun, 2)
    return figures
