"""Thousands of damaged files through the reader: `python -m tests.faults.mutants --count 5000`."""

from __future__ import annotations

import argparse
import asyncio
import collections
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from services.ingest.readers import Readers
from tests.support import mutants


def main() -> int:
    """Read them; return 1 where one did not end well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="files")
    parser.add_argument("--seed", type=int, default=1, help="where the damage starts from")
    parser.add_argument("--keep", type=Path, help="folder for those that did not end well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bad = asyncio.run(_read(options, folder))
        kept = ("samples", "original", "temporary")
        left = sorted(p.name for p in folder.iterdir() if p.name not in kept)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(f"left behind: {left}\nmost memory of a process: {peak:.0f} MB\n")
    return 1 if bad or left or peak > mutants.MEMORY_MB else 0


async def _read(options: argparse.Namespace, folder: Path) -> int:
    """Return how many did not end well."""
    reasons: collections.Counter[str] = collections.Counter()
    bad = 0
    slowest: list[tuple[float, float, str, int]] = []
    began = time.monotonic()
    stream = mutants.mutants(mutants.samples(folder / "samples"), options.seed)
    async with Readers() as readers:
        for number in range(options.count):
            file, data = next(stream)
            found = await mutants.outcome(readers, file, data, folder)
            reasons["read" if found.reason == "read" else found.reason[:90]] += 1
            slowest = sorted([*slowest, (found.seconds, found.peak_mb, file, number)])[-8:]
            if not found.well:
                bad += 1
                sys.stdout.write(f"{number} {file}: {found.reason}\n")
                sys.stdout.flush()
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{number}-{file}").write_bytes(data)
    sys.stdout.write(
        f"{options.count} files in {time.monotonic() - began:.0f} s, {bad} did not end well\n"
    )
    for seconds, peak, file, number in slowest:
        sys.stdout.write(f"  slowest: {seconds:.1f} s, {peak:.0f} MB, {file} ({number})\n")
    for reason, count in reasons.most_common(40):
        sys.stdout.write(f"  {count:5d} {reason}\n")
    return bad


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
