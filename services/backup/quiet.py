"""Working so that nobody notices: last in line for processor and disk."""

from __future__ import annotations

import ctypes
import os
import platform

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "armv7l": 314, "riscv64": 30}
_WHO_PROCESS, _CLASS_IDLE, _SHIFT = 1, 3, 13


def step_back() -> bool:
    """Give way to all other processes; return whether the disk was given way on as well."""
    os.nice(max(0, 15 - os.nice(0)))
    number = _IOPRIO_SET.get(platform.machine())
    if number is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(number, _WHO_PROCESS, 0, _CLASS_IDLE << _SHIFT)) == 0


def forget(descriptor: int) -> None:
    """Have the kernel drop what it keeps in memory of a file: others need that room."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
