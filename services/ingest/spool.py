"""Passages of one document on disk, between reading and indexing.

So that a reader need not wait for the retriever, nor the service hold a large manual in memory,
and so that all of them can be sent once more. They are sent while more of them come.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from schemas.retrieval import Passage
from services.ingest.frames import HEAD
from services.runtime.errors import Retryable


class Spool:
    """Batches in the order they came; gone when closed."""

    def __init__(self, folder: Path, room: int = 0) -> None:
        """Open it.

        Args:
            folder: Where it lies; made when it is not there.
            room: Bytes the disk must have left: what an earlier try came to.

        Raises:
            Retryable: the disk is full or failing.
        """
        self._folder = folder
        self._opened = contextlib.ExitStack()
        with self._disk():
            folder.mkdir(parents=True, exist_ok=True)
            temporary = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by __exit__)
            self._file = self._opened.enter_context(temporary)
            if room:
                with contextlib.ExitStack() as failed:
                    failed.callback(self._opened.close)
                    os.posix_fallocate(self._file.fileno(), 0, room)
                    os.ftruncate(self._file.fileno(), 0)
                    failed.pop_all()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Passage]).decode
        self.passages = 0
        """How many it holds."""
        self.bytes = 0
        """Bytes it has taken, or would have if there had been room."""
        self.sent = 0
        """Of these, bytes of batches that were sent; 0 sends all of them again."""
        self.grown = asyncio.Event()
        """Set by each batch; who waits for the next one clears it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What could not be written is still in the buffer, and fails once more here; it has been
        # told by `add`, and nothing of it is needed now.
        with contextlib.suppress(OSError):
            self._opened.close()

    def add(self, batch: list[Passage]) -> None:
        """Append a batch.

        Raises:
            Retryable: the disk is full or failing.
        """
        payload = self._encode(batch)
        end = self.bytes
        self.bytes += HEAD.size + len(payload)
        with self._disk():
            self._file.seek(end)  # the reading side may have been elsewhere
            self._file.write(HEAD.pack(len(payload)) + payload)
            # At once, so that a full disk shows here and nowhere later.
            self._file.flush()
        self.passages += len(batch)
        self.grown.set()

    def unsent(self) -> Iterator[list[Passage]]:
        """Yield the batches that were not sent; one is when the next is asked for.

        Raises:
            Retryable: the disk is failing.
        """
        while self.sent < self.bytes:
            with self._disk():
                self._file.seek(self.sent)
                (length,) = HEAD.unpack(self._file.read(HEAD.size))
                payload = self._file.read(length)
            yield self._decode(payload)
            self.sent += HEAD.size + length

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Retryable(
                "keep passages",
                f"{error.strerror or error}: {self._folder}",
                "make room on the disk of the data folder; it goes on by itself",
            ) from error
