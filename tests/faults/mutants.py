"""Thousands of damaged files through the reader: `python -m tests.faults.mutants --count 5000`."""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
from pathlib import Path

from services.ingest import sandbox
from tests.support import mutants


def main() -> int:
    """Read them; return 1 where one did not end well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="files")
    parser.add_argument("--seed", type=int, default=1, help="where the damage starts from")
    parser.add_argument("--keep", type=Path, help="folder for those that did not end well")
    options = parser.parse_args()
    mutants.warm()
    reasons: collections.Counter[str] = collections.Counter()
    bad = 0
    slowest: list[tuple[float, float, str, int]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = mutants.samples(folder / "samples")
        stream = mutants.mutants(good, options.seed)
        for number in range(options.count):
            file, data = next(stream)
            found = mutants.outcome(file, data, folder)
            reasons["read" if found.reason == "read" else found.reason[:90]] += 1
            slowest = sorted([*slowest, (found.seconds, found.peak_mb, file, number)])[-8:]
            if not found.well:
                bad += 1
                sys.stdout.write(f"{number} {file}: {found.reason}\n")
                sys.stdout.flush()
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{number}-{file}").write_bytes(data)
        left = sorted(p.name for p in folder.iterdir() if p.name not in ("samples", "original"))
    sys.stdout.write(
        f"{options.count} files in {time.monotonic() - began:.0f} s, {bad} did not end well, "
        f"left behind: {left}\n"
    )
    for seconds, peak, file, number in slowest:
        sys.stdout.write(f"  slowest: {seconds:.1f} s, {peak:.0f} MB, {file} ({number})\n")
    for reason, count in reasons.most_common(40):
        sys.stdout.write(f"  {count:5d} {reason}\n")
    return 1 if bad or left else 0


if __name__ == "__main__":
    os.environ |= sandbox._ENVIRONMENT  # before a library starts threads that a fork would lose
    os.nice(5)
    sys.exit(main())
