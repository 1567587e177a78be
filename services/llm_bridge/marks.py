"""Checksums of large files, made once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

_PIECE = 1 << 20
_MOST = 256
"""Checksums kept; those made first go first."""


class _Mark(msgspec.Struct, frozen=True):
    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


class Marks:
    """SHA-256 by path, kept in a file; a file that has another size or time is read again.

    The time of the last write can be set by anybody, that of the last change cannot.
    """

    def __init__(self, kept: Path) -> None:
        """Remember what the file `kept` has; one that cannot be read has nothing."""
        self._kept = kept
        self._lock = threading.Lock()
        self._known: dict[str, _Mark] = {}
        with contextlib.suppress(OSError, msgspec.DecodeError):
            self._known = msgspec.json.decode(kept.read_bytes(), type=dict[str, _Mark])

    async def of(self, path: str) -> str:
        """Return the checksum of a file, hexadecimal, made in a thread.

        Raises:
            OSError: it cannot be read.
        """
        going = True
        try:
            return await asyncio.to_thread(self.make, path, lambda: going)
        finally:
            going = False  # a thread cannot be cancelled; it must not read on for minutes

    def make(self, path: str, going: Callable[[], bool] = lambda: True) -> str:
        """Return the checksum of a file, of its beginning where `going` says to stop.

        Raises:
            OSError: it cannot be read.
        """
        with Path(path).open("rb") as file:
            stat = os.fstat(file.fileno())
            known = self._known.get(path)
            look = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            if known and (known.size, known.mtime_ns, known.ctime_ns) == look:
                return known.sha256
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
                if not going():
                    return digest.hexdigest()
        with self._lock:  # several files are read at the same time
            self._known.pop(path, None)
            self._known[path] = _Mark(*look, digest.hexdigest())
            self._keep()
        return digest.hexdigest()

    def _keep(self) -> None:
        for path in list(self._known)[:-_MOST]:
            del self._known[path]
        new = self._kept.with_suffix(".new")
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(self._known))
            new.replace(self._kept)
        except OSError as error:
            log.warning("%s: %s; checksums will be made again", self._kept, error.strerror)
