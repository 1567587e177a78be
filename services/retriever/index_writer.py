"""The forked process that writes the index, with an end to how long it is waited for."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import zlib
from pathlib import Path

import hnswlib
import msgspec
import numpy as np
from numpy.typing import NDArray

LEAST_S = 60.0
"""A process that writes has so long in any case, seconds."""
SLOWEST = 1 << 20
"""And for each so many bytes a second more: a worn card writes several MB in it."""
ENDED_S = 5.0
"""One that is killed is gone by then, but where the disk itself hangs, seconds."""

_left: list[Writer] = []
"""Those that the kernel did not let go of; none is begun beside one."""


class _Written(msgspec.Struct, frozen=True):
    """What the process that writes tells the one that serves."""

    crc32: int = 0
    error: int = 0
    """As in `OSError.errno`."""
    reason: str = ""


class Writer:
    """A process of its own: it has the memory as it was at that moment."""

    def __init__(
        self, graph: hnswlib.Index, points: NDArray[np.int64], part: Path, labels_part: Path
    ) -> None:
        """Begin to write a graph and its labels into two files.

        Raises:
            OSError: there is no room for a process, or the one before still hangs.
        """
        self._part, self._labels_part = part, labels_part
        self._limit_s = LEAST_S + graph.index_file_size() / SLOWEST
        for former in _left[:]:
            former.reap(0.0)
        if _left:
            raise OSError(errno.EBUSY, f"process {_left[0].pid} still hangs in the disk", str(part))
        reader, writer = os.pipe()
        try:
            self.pid: int = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if self.pid:
            os.close(writer)
            self._reader = reader
            try:
                self._process = os.pidfd_open(self.pid)
            except OSError:  # no file to be had, no memory: nobody could wait for it
                os.close(reader)
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self._discard()
                raise
            return
        # Here is the copy: it has this thread alone, and nothing of the service's may run in it.
        code = 1
        try:
            os.write(writer, msgspec.msgpack.encode(_write(graph, points, part, labels_part)))
            code = 0
        finally:
            os._exit(code)

    def result(self) -> int:
        """Wait for it; return the checksum of what it wrote; blocks.

        Raises:
            OSError: it failed, was ended, or took too long and was ended for that.
        """
        with os.fdopen(self._reader, "rb") as pipe:
            in_time = self.reap(self._limit_s)
            if not in_time:
                self.end()
                if not self.reap(ENDED_S):
                    _left.append(self)
            told = pipe.read() if in_time else b""
        if not in_time:
            # What it began stays for the next `Writing.finish`: to delete it now on the disk that
            # hangs might take for ever.
            reason = f"the process that writes the index hung for {self._limit_s:.0f} s"
            raise OSError(errno.ETIMEDOUT, reason, str(self._part))
        if not told:
            self._discard()
            raise OSError(
                errno.EINTR, "the process that writes the index was ended", str(self._part)
            )
        written = msgspec.msgpack.decode(told, type=_Written)
        if written.error:
            self._discard()
            raise OSError(written.error, written.reason, str(self._part))
        return written.crc32

    def end(self) -> None:
        """End it, wherever it is; another thread may wait for its result."""
        with contextlib.suppress(OSError):  # it has ended by itself
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def reap(self, within_s: float) -> bool:
        """Return whether it has ended, at the latest after so many seconds."""
        ended = select.poll()
        ended.register(self._process, select.POLLIN)
        if not ended.poll(within_s * 1000):
            return False
        os.waitpid(self.pid, 0)
        process, self._process = self._process, -1
        os.close(process)
        if self in _left:
            _left.remove(self)
        return True

    def _discard(self) -> None:
        """Delete what it began; what cannot be deleted stays for the next `Writing.finish`."""
        with contextlib.suppress(OSError):  # why it failed is told, and says more
            self._part.unlink(missing_ok=True)
            self._labels_part.unlink(missing_ok=True)


def checksum(*paths: Path) -> int:
    """Return the CRC-32 of files, one after the other."""
    total = 0
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total = zlib.crc32(block, total)
    return total


def _write(
    graph: hnswlib.Index, points: NDArray[np.int64], part: Path, labels_part: Path
) -> _Written:
    try:
        try:
            graph.save_index(str(part))
        except RuntimeError as error:  # hnswlib's word for a file it cannot open
            return _Written(error=errno.EIO, reason=str(error))
        # It does not look whether its writes succeed.
        if part.stat().st_size != graph.index_file_size():
            return _Written(error=errno.ENOSPC, reason="the index could not be written whole")
        labels_part.write_bytes(points.tobytes())
        return _Written(crc32=checksum(part, labels_part))
    except OSError as error:
        return _Written(error=error.errno or errno.EIO, reason=str(error))
