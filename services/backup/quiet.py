"""Working so that nobody notices: last in line for processor and disk."""

from __future__ import annotations

import os
import shutil
import subprocess

_NICE = 15


def step_back() -> None:
    """Give way to all other processes, on the disk too where there is util-linux."""
    os.nice(max(0, _NICE - os.nice(0)))
    if ionice := shutil.which("ionice"):
        idle = [ionice, "--class", "idle", "--pid", str(os.getpid())]
        # A container may not allow it; then the disk is shared as usual.
        subprocess.run(idle, check=False, stderr=subprocess.DEVNULL)


def forget(descriptor: int) -> None:
    """Have the kernel drop what it keeps in memory of a file: others need that room."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
