"""What a process may still ask of the kernel: no socket, no other process (seccomp, Linux).

The numbers are those of linux/seccomp.h, linux/filter.h, linux/audit.h and each processor's
unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

_PR_SET_SECCOMP = 22
_FILTER = 2
_LOAD, _EQUAL, _LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _PROCESSOR, _FIRST = 0, 4, 16
"""Where a call's number, its processor and its first argument stand in `seccomp_data`."""
_CLONE_THREAD = 0x10000
_X32 = 0x40000000
_CLONE3 = 435
"""The same on every processor. Its flags lie in memory a filter cannot see: libraries use `clone`
where it is missing."""


class _Calls(NamedTuple):
    processor: int
    clone: int
    refused: tuple[int, ...]
    """socket, ptrace, execve, execveat, process_vm_readv, process_vm_writev, io_uring_setup; fork
    and vfork where there are such."""


_KNOWN = {
    "x86_64": _Calls(0xC000003E, 56, (41, 101, 59, 322, 310, 311, 425, 57, 58)),
    "aarch64": _Calls(0xC00000B7, 220, (198, 117, 221, 281, 270, 271, 425)),
}


def restrict() -> bool:
    """Give up sockets, other processes and other programs; threads stay.

    PR_SET_NO_NEW_PRIVS must be set.

    Returns:
        Whether the kernel does so.
    """
    calls = _KNOWN.get(os.uname().machine)
    if calls is None or struct.calcsize("P") != 8:
        return False
    steps = _program(calls)
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, program, 0, 0) == 0)


def _program(calls: _Calls) -> list[tuple[int, int, int, int]]:
    """Return the filter: operation, steps to skip if so, if not, and the number meant."""
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    steps = [
        (_LOAD, 0, 0, _PROCESSOR),
        (_EQUAL, 1, 0, calls.processor),
        refuse,
        (_LOAD, 0, 0, _NUMBER),
        (_LEAST, 0, 1, _X32),
        refuse,
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for number in calls.refused:
        steps += [(_EQUAL, 0, 1, number), refuse]
    return [
        *steps,
        (_EQUAL, 0, 3, calls.clone),
        (_LOAD, 0, 0, _FIRST),
        (_BITS, 1, 0, _CLONE_THREAD),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
    ]
