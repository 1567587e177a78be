"""Real manuals through the front door: all added, failures named, ten codes looked up."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.andon import Andon
from tests.support.shared_data import shared_data

_SKF = "other/skf8000_zh/Fault-Diagnosis-and-Countermeasures"
CODES = (
    ("F30002", "SINAMICS_G120_CU240BE2_List_Manual.pdf", None),
    ("A01009", "SINAMICS_G120_CU240BE2_List_Manual.pdf", 704),
    ("F01001", "SINAMICS_G120_CU240BE2_List_Manual.pdf", 703),
    ("F01018", "SINAMICS_G120_CU240BE2_List_Manual.pdf", 705),
    ("InfiniSolar V fault code 56", "Voltronic_PI18_InfiniSolar_V_Protocol.pdf", 3),
    ("InfiniSolar V fault code 80", "Voltronic_PI18_InfiniSolar_V_Protocol.pdf", 3),
    ("InfiniSolar 5KW PI17 fault code 03", "Voltronic_PI17_InfiniSolar_5KW_Protocol.pdf", 8),
    ("PI30 warning b19", "Voltronic_PI30_Protocol_2015.pdf", 12),
    ("ERR05", f"{_SKF}/Fault-Alarm-and-Countermeasures.md", None),
    ("MotoSuiveur F33", "other/siguren_en/docs/source/_tables/ms-faults-and-warnings.csv", None),
)  # fmt: skip
"""Question, file and page (None: the file has none, or the page is the gold's)."""


def measure() -> dict[str, Any]:
    """Add everything; return times, failures and what the ten codes found."""
    data = shared_data()
    if data is None:
        return {"skipped": "no real manuals beside this checkout (shared/data)"}
    gold = json.loads((data / "gold" / "g120_dev.json").read_text(encoding="utf-8"))
    pages = {entry["code"]: entry["page"] for entry in gold}
    with tempfile.TemporaryDirectory() as folder, Andon(Path(folder)) as andon:
        begun = time.monotonic()
        added = _add(andon, data / "manuals")
        seconds = time.monotonic() - begun
        found = {}
        for question, file, page in CODES:
            [hit] = andon.json("search", question, "--limit", "1") or [{"file": "", "page": None}]
            right = hit["file"] == file and hit["page"] == (page or pages.get(question))
            found[question] = "right" if right else f"{hit['file']} p. {hit['page']}"
    failed = {state["file"]: state["reason"] for state in added if state["state"] == "failed"}
    return {
        "files": len(added),
        "ready": sum(state["state"] == "ready" for state in added),
        "passages": sum(state["passages"] for state in added),
        "seconds": round(seconds, 1),
        "failed_with_reason": failed,
        "ten_codes_first_hit": found,
    }


def _add(andon: Andon, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "services.cli", "add", str(folder), "--json"]
    command += ["--config", str(andon.running_config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    states: list[dict[str, Any]] = json.loads(done.stdout)
    return states
