"""A service whose clock is set forward and back: `python -m tests.support.shifted NAME FILE …`.

FILE holds the seconds by which `time.time()` is off; the monotonic clock goes on as it does when
somebody sets the time of a box.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path


def shift(file: Path) -> None:
    """Let `time.time` be off by what the file says whenever it is asked."""
    true = time.time
    time.time = lambda: true() + float(file.read_text())


if __name__ == "__main__":
    name, offset = sys.argv[1:3]
    shift(Path(offset))
    sys.argv = [name, *sys.argv[3:]]
    importlib.import_module(f"services.{name}.service")
    import runpy

    runpy.run_module(f"services.{name}", run_name="__main__")
