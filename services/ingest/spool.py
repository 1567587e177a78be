"""Passages of one document on disk, between reading and indexing.

So that a reader need not wait for the retriever, nor the service hold a large manual in memory,
and so that a document whose reading fails has left nothing behind in the corpus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from schemas.retrieval import Passage
from services.ingest.frames import HEAD
from services.runtime.errors import Retryable


class Spool:
    """Batches in the order they came; gone when closed."""

    def __init__(self, folder: Path) -> None:
        """Open a spool. Raises Retryable: the disk is full or failing."""
        self._folder = folder
        with self._disk():
            folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered: closing it on a full disk has nothing left to write.
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  see __exit__
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Passage]).decode
        self.passages = 0
        """How many it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, batch: list[Passage]) -> None:
        """Append a batch. Raises Retryable: the disk is full or failing."""
        payload = self._encode(batch)
        record = memoryview(HEAD.pack(len(payload)) + payload)
        with self._disk():
            while record:
                record = record[self._file.write(record) :]
        self.passages += len(batch)

    def batches(self) -> Iterator[list[Passage]]:
        """Yield the batches; call it as often as needed."""
        with self._disk():
            self._file.seek(0)
            while head := self._file.read(HEAD.size):
                (length,) = HEAD.unpack(head)
                yield self._decode(self._file.read(length))

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Retryable(
                "keep passages", f"{error.strerror}: {self._folder}", "look at the disk"
            ) from error
