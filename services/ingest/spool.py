"""Passages of one document on disk, between reading and indexing.

So that a reader need not wait for the retriever, nor the service hold a large manual in memory,
and so that a document whose reading fails has left nothing behind in the corpus.
"""

from __future__ import annotations

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
        self.bytes += HEAD.size + len(payload)
        with self._disk():
            self._file.write(HEAD.pack(len(payload)) + payload)
            # At once, so that a full disk shows here and nowhere later.
            self._file.flush()
        self.passages += len(batch)

    def batches(self) -> Iterator[list[Passage]]:
        """Yield the batches; call it as often as needed.

        Raises:
            Retryable: the disk is failing.
        """
        place = 0
        while place < self.bytes:
            with self._disk():
                self._file.seek(place)
                (length,) = HEAD.unpack(self._file.read(HEAD.size))
                payload = self._file.read(length)
            place += HEAD.size + length
            yield self._decode(payload)

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
