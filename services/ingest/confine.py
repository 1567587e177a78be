"""Limits a process puts on itself before it opens a file that a stranger wrote (Linux)."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Any

from services.ingest import landlock, seccomp

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_NO_NEW_PRIVS = 38
_TEMPORARY = 64 * 2**20
_FORBIDDEN = (
    "socket.__new__",
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
)


def confine(
    *,
    parent: int,
    memory_mb: int,
    cpu_s: int,
    open_files: int,
    reads: tuple[str, ...] = (),
    writes: tuple[str, ...] = (),
) -> None:
    """Give up all that reading a file does not need; it cannot be undone.

    Memory, processor time, open files and the size of written files are limited, no core is
    dumped, no network is left, no program can be started, and the process ends with its parent.
    The kernel refuses sockets and other processes, whoever asks (seccomp, on x86-64 and ARM64).
    Where it has Landlock, no other file can be opened, whoever asks: Python or a library.

    Args:
        parent: Process id of the starter; when it is gone already, so is this process.
        memory_mb: Private memory, MiB.
        cpu_s: Processor time, seconds.
        open_files: Open files.
        reads: Files that may be read, besides those of Python and its libraries.
        writes: Folders that may be written.
    """
    end_with(parent)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Without the right to it a network namespace needs a user namespace, which may be
    # forbidden as well; the audit hook below holds in either case.
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    os.setpriority(os.PRIO_PROCESS, 0, 10)
    memory = memory_mb * 2**20
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, open_files)
    _limit(resource.RLIMIT_FSIZE, _TEMPORARY)
    _limit(resource.RLIMIT_DATA, memory)
    # Some kernels do not count private mappings as data: then this one holds.
    _limit(resource.RLIMIT_AS, memory + 512 * 2**20)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    landlock.restrict(reads, writes)
    # Not RLIMIT_NPROC: it does not hold for root, counts what others of the same user run, and
    # forbids threads as well.
    seccomp.restrict()
    sys.addaudithook(_refuse)


def end_with(parent: int) -> None:
    """End when the starter ends, at once where it is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Not `== 1`: in a container the starter itself may be process 1.
    if os.getppid() != parent:
        os._exit(1)


def call_it(name: str) -> None:
    """Set the name under which the process is listed, 15 characters at most."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"a reader may not do this: {event}")
