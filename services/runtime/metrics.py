"""What a process costs, as the kernel counts it."""

from __future__ import annotations

import re
from pathlib import Path

_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_RSS = re.compile(rb"^VmRSS:\s+(\d+) kB", re.MULTILINE)


def memory_mb(pid: int | str = "self") -> float:
    """Return the proportional set size in MiB; the resident size where the kernel hides it.

    Raises:
        ProcessLookupError: there is no such process.
    """
    folder = Path("/proc") / str(pid)
    try:
        match = _PSS.search((folder / "smaps_rollup").read_bytes())
    except (PermissionError, FileNotFoundError):
        match = None
    if match is None:
        try:
            match = _RSS.search((folder / "status").read_bytes())
        except FileNotFoundError as error:
            raise ProcessLookupError(pid) from error
    return round(int(match[1]) / 1024, 1) if match else 0.0
