"""An orchestrator by itself: nobody searches for it, so that its answers say what is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.andon import ROOT
from tests.support.mosquitto import Mosquitto

_END_S = 60.0


@contextmanager
def orchestrator(
    broker: Mosquitto, folder: Path, settings: str = "deadline_s: 1"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run it for as long as the block lasts; what it says is in `alone.log`."""
    config = folder / "alone.yaml"
    config.write_text(
        f"data: {folder}\nbroker: {{url: '{broker.url}'}}\nstatus_every_s: 0.5\n"
        f"orchestrator: {{{settings}}}\n"
    )
    command = [sys.executable, "-m", "services.orchestrator", "--config", str(config)]
    with (folder / "alone.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_END_S)
