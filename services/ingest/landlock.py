"""What a process may still open, held by the kernel (Landlock, Linux 5.13 and later).

The numbers are those of linux/landlock.h; the three calls have the same number on every
processor.
"""

from __future__ import annotations

import ctypes
import mimetypes
import os
import struct
import sys
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_BENEATH = 1
_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_MAKING = 0x1FF0
"""Removing and making of entries of every kind."""
_REFER, _TRUNCATE, _DEVICES = 1 << 13, 1 << 14, 1 << 15
_TCP = 0b11
"""Binding and connecting."""
_SCOPES = 0b11
"""Abstract sockets of, and signals to, processes outside."""
_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/urandom",
)
"""What libraries read when they are loaded."""


def version() -> int:
    """Return the version of Landlock this kernel speaks, 0 without it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def restrict(reads: Iterable[str], writes: Iterable[str]) -> bool:
    """Give up all files but these, what Python and its libraries lie in, and TCP.

    No program can be started afterwards either. PR_SET_NO_NEW_PRIVS must be set.

    Args:
        reads: Files and folders that may be read.
        writes: Files and folders that may be written as well.

    Returns:
        Whether the kernel does so.
    """
    spoken = version()
    if not spoken:
        return False
    everything = _EXECUTE | _WRITE | _READ | _LIST | _MAKING
    everything |= _REFER if spoken >= 2 else 0
    everything |= _TRUNCATE if spoken >= 3 else 0
    everything |= _DEVICES if spoken >= 5 else 0
    attributes = struct.pack("=Q", everything)
    attributes += struct.pack("=Q", _TCP) if spoken >= 4 else b""
    attributes += struct.pack("=Q", _SCOPES) if spoken >= 6 else b""
    libc = ctypes.CDLL(None, use_errno=True)
    rules = libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    try:
        for path in (
            *_SYSTEM,
            *mimetypes.knownfiles,
            *sys.path,
            sys.prefix,
            sys.base_prefix,
            *reads,
        ):
            _allow(libc, rules, str(path), _READ | _LIST)
        for path in ("/dev/null", *writes):
            _allow(libc, rules, path, everything & ~(_EXECUTE | _REFER | _DEVICES))
        return bool(libc.syscall(_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, access: int) -> None:
    """Allow a file, or a folder with all in it; one that is not there needs no rule."""
    try:
        opened = os.open(path or ".", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path or "."):  # noqa: PTH112  (a plain string to the end)
            access &= _WRITE | _READ | _TRUNCATE
        libc.syscall(_ADD, rules, _BENEATH, struct.pack("=Qi", access, opened), 0)
    finally:
        os.close(opened)
