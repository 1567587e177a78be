"""Signals to programs that may have just begun."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def signalled(pid: int, number: signal.Signals) -> bool:
    """Send a signal to a program that catches it; one that has just begun would end of it.

    Returns:
        Whether it was sent.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        if not caught >> (number - 1) & 1:
            return False
        os.kill(pid, number)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return True
