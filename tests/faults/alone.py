"""Documents of every format taken in, to be traced by test_no_network.py.

`python -m tests.faults.alone andon FOLDER` has a whole Andon take them, and prints their states.
`python -m tests.faults.alone model FOLDER` has one with a model's server and figures for Prometheus
answer a question, and prints by whom and the ports that are meant to be spoken to.
`python -m tests.faults.alone readers FOLDER` has readers read them and all bad inputs, and prints
how many, and what of the network anything in them, or in what they are forked from, asked Python
for: a library that is refused and says nothing is found so, and not by looking at what left the
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from services.ingest.readers import Readers
from tests.support import formats, mutants
from tests.support.andon import Andon
from tests.support.llama_stand_in import stand_in
from tests.support.mosquitto import free_port
from tests.support.overheard import overheard
from tests.support.sample import sample_manual
from tests.support.shared_data import shared_data


def _files(folder: Path) -> list[Path]:
    files = mutants.every_format(folder)
    return [*files, formats.scan(folder / "scan.pdf"), formats.mixed(folder / "mixed.pdf", 1)]


def andon(folder: Path) -> dict[str, object]:
    """Add all files; return the port of the broker, and each file's state."""
    names = sorted(path.name for path in _files(folder / "in"))
    with Andon(folder) as running:
        added = running.cli("add", str(folder / "in"))
        states = {one["file"]: one["state"] for one in running.json("documents")}
        found = running.json("search", "E001")
        port = running.port
    return {
        "port": port,
        "states": states,
        "missing": [name for name in names if name not in states],
        "found": len(found),
        "said": added.stdout + added.stderr,
    }


def model(folder: Path) -> dict[str, object]:
    """Have a question answered by the model; return who answered, and the ports in use."""
    metrics = free_port()
    with stand_in() as server:
        config = f"llm_bridge: {{url: '{server.url}'}}\nmetrics: {{port: {metrics}}}\n"
        with Andon(folder, config) as running:
            added = running.cli("add", str(sample_manual(folder, "pdf")))
            answer = running.json("ask", "What does E005 mean?")
            doctor = running.cli("doctor", "--deep")
            ports = [running.port, int(server.url.rpartition(":")[2]), metrics]
    return {
        "answered_by": answer["answered_by"],
        "ports": ports,
        "said": added.stdout + added.stderr + doctor.stdout,
    }


async def readers(folder: Path, deliberate: bool) -> dict[str, object]:
    """Read all files, and bad ones; return how many were, and what was asked for."""
    files = _files(folder / "in")
    data = shared_data()
    if data:
        files += sorted(path for path in (data / "bad_inputs").rglob("*") if path.is_file())
    if deliberate:
        files = files[:1]
    with overheard(folder / "notes", deliberate=deliberate) as notes:
        async with Readers() as some:
            outcomes = [
                await mutants.outcome(some, path.name, path.read_bytes(), folder) for path in files
            ]
        asked = notes.words()
    return {
        "files": len(files),
        "read": sum(one.reason == "read" for one in outcomes),
        "not well": [f"{one.name}: {one.reason}" for one in outcomes if not one.well],
        "asked": sorted(asked),
    }


def main(arguments: Sequence[str]) -> int:
    """Do it, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=("andon", "model", "readers"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--deliberate", action="store_true", help="have the reader go outside")
    options = parser.parse_args(arguments)
    if options.who == "readers":
        found = asyncio.run(readers(options.folder, options.deliberate))
    else:
        found = {"andon": andon, "model": model}[options.who](options.folder)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
