"""The process that readers are forked from: `python -m services.ingest.zygote PARENT IDLE_S`.

To load its libraries takes a reader of a small file most of its time. This process loads them, and
only that: it never opens a document. For each order that comes over its standard input, a socket,
it forks a reader, which confines itself before it opens one; readers.py is the other side.

A reader is born a child of the service, not of this process: its end and how it came to it are
told to the service alone, and nothing befalls it when this process is killed.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import platform
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import msgspec

from services.ingest import confine, frames, reader
from services.ingest.partition import offline, sniffing

MAX_ORDER = 2**16
"""Bytes of an order at most."""
_READERS = "services.ingest.partition"
_ALWAYS = ("mimetypes", "services.ingest.chunking", _READERS, f"{_READERS}.effort")
_WEB = (f"{_READERS}.html", "unstructured.partition.html")
_BY_KIND = {
    "pdf": (f"{_READERS}.pdf",),
    "docx": (f"{_READERS}.office", "unstructured.partition.docx"),
    "html": _WEB,
    "markdown": (*_WEB, "unstructured.partition.md"),
    "epub": (*_WEB, f"{_READERS}.epub"),
    "eml": (*_WEB, f"{_READERS}.mail"),
    "msg": (*_WEB, f"{_READERS}.mail", "oxmsg"),
    "xlsx": (f"{_READERS}.workbook", "openpyxl"),
    "xls": (f"{_READERS}.workbook", "xlrd"),
    "odf": (f"{_READERS}.odf",),
    "rtf": (f"{_READERS}.rtf",),
    "csv": (f"{_READERS}.table",),
    "json": (f"{_READERS}.records",),
    "text": (f"{_READERS}.text",),
}
"""What a reader of a kind imports. Not there: pictures and slides, whose libraries would make this
process half as large again for what takes long anyway."""
_PARTITIONERS = {"docx", "html", "markdown", "epub", "eml", "msg"}
_CLONE_PARENT = 0x8000
_CLONE_CHILD_SETTID = 0x1000000
_PR_GET_TID_ADDRESS = 40
_CLONE = 56 if platform.machine() == "x86_64" else 220


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A document to be read; the file descriptors of its output and of its errors come along."""

    job: frames.Job
    environment: dict[str, str]
    """All of the reader's; HOME is the folder it may write."""
    warm: bool = True
    """Whether what its kind needs is to be loaded first."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order."""

    pid: int = 0
    """The reader's process id."""
    errno: int = 0
    """Why the system has no process for it."""


def main(parent: int, idle_s: float) -> int:
    """Take orders until none comes for so many seconds, or the service is gone."""
    confine.end_with(parent)
    confine.call_it("andon-zygote")
    os.setpriority(os.PRIO_PROCESS, 0, 10)
    gc.disable()  # what is loaded stays; a collection would only touch, and so copy, all of it
    with socket.socket(fileno=os.dup(0)) as control:
        control.settimeout(idle_s)
        while True:
            try:
                message, files, _, _ = socket.recv_fds(control, MAX_ORDER, 2)
            except TimeoutError:
                return 0
            if not message:
                return 0
            order = msgspec.json.decode(message, type=Order)
            if order.warm:
                load(sniffing.likely(order.job.name), order.job.tokenizer)
            try:
                answer = Answer(pid=fork(lambda o=order, f=files: _read(o, f)))  # type: ignore[misc]
            except OSError as error:
                answer = Answer(errno=error.errno or 1)
            control.send(msgspec.json.encode(answer))
            for file in files:
                os.close(file)


def load(kind: str, tokenizer: str) -> None:
    """Import what a reader of this kind does; what cannot be is left to it, which then says so."""
    try:
        if kind in _PARTITIONERS:
            offline.prepare_partitioner()
        else:
            offline.prepare()
        reader.tokenizer(tokenizer)
        for name in (*_ALWAYS, *_BY_KIND.get(kind, ())):
            importlib.import_module(name)
    except Exception:  # noqa: BLE001  (whatever it is: the reader runs into it once more)
        traceback.print_exc()
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208  (only counted)
    if threads > 1:
        # A lock that a thread holds at this moment would stay locked in the fork for ever.
        sys.stderr.write(f"{kind}: a library has started threads: no reader can be forked then\n")
        os._exit(1)  # without waiting for them


def fork(work: Callable[[], int]) -> int:
    """Start a process that does some work and ends with its code; return its id.

    Not `os.fork`: the new process is a child of the one that started this one (CLONE_PARENT). So
    Python is told by hand, and the C library's note of the thread's id is set by the kernel.

    Raises:
        OSError: the system has no room for a process.
    """
    python = ctypes.pythonapi
    libc = ctypes.PyDLL(None, use_errno=True)
    note = ctypes.c_void_p()
    flags = _CLONE_PARENT | signal.SIGCHLD
    if libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(note)) == 0:
        flags |= _CLONE_CHILD_SETTID
    zero = ctypes.c_long(0)
    python.PyOS_BeforeFork()
    # The note's address stands where either order of arguments has it.
    pid = libc.syscall(ctypes.c_long(_CLONE), ctypes.c_long(flags), zero, zero, note, note)
    if pid == 0:
        python.PyOS_AfterFork_Child()
        _end(work)
    error = ctypes.get_errno()
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(error, os.strerror(error))
    return int(pid)


def _end(work: Callable[[], int]) -> NoReturn:
    """Do the work and end, without what an interpreter does at its end."""
    code = 1
    try:
        code = work()
    except BaseException:  # noqa: BLE001  (the service reads it)
        traceback.print_exc()
    finally:
        os._exit(code)


def _read(order: Order, files: list[int]) -> int:
    """Be a reader."""
    output, errors = files
    confine.call_it("andon-reader")
    os.setsid()
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(order.environment["HOME"])
    os.environ.clear()
    os.environ.update(order.environment)
    gc.enable()
    return reader.main(order.job)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2])))
