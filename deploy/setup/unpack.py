"""Unpacks the wheels of a kind of node into a folder: `unpack.py WHEELS KIND FOLDER`.

The bundle's wheels have no scripts and their bytecode within, so that unpacking them is all there
is to do. Runs on Debian's Python alone.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def unpack(wheels: Path, kind: str, folder: Path) -> None:
    """Unpack what KIND.txt names."""
    folder.mkdir(parents=True)
    for name in (wheels / f"{kind}.txt").read_text(encoding="utf-8").split():
        with zipfile.ZipFile(wheels / name) as wheel:
            wheel.extractall(folder)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
