"""Originals: each file kept once, under the hash of its content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from services.runtime.durable import sync
from services.runtime.errors import Rejected, Retryable

_CHUNK = 2**20


class Originals:
    """A folder of files named by their SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Return where the file with this hash lies."""
        return self._folder / sha256

    def has(self, sha256: str) -> bool:
        """Return whether the file with this hash is there."""
        return bool(sha256) and self.path(sha256).is_file()

    def there(self) -> dict[str, float]:
        """Return the files of the folder, and when each was made, seconds since 1970.

        Raises:
            Retryable: the disk is failing.
        """
        with self._disk("list originals"):
            self._folder.mkdir(parents=True, exist_ok=True)
            with os.scandir(self._folder) as entries:
                return {e.name: e.stat().st_mtime for e in entries if e.is_file()}

    def take(self, source: Path, max_bytes: int) -> tuple[str, int]:
        """Copy a file in; return its hash and size. Blocks; run it in a thread.

        Raises:
            Rejected: there is no such file, it cannot be read, is no file, empty or too large.
            Retryable: the disk is full or failing; nothing is left behind.
        """
        operation = f"add {source.name}"
        try:
            # Without waiting: opening a named pipe would hang.
            descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Rejected(
                operation,
                f"{source}: {error.strerror}",
                "the ingest service must be able to read the file",
            ) from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise Rejected(operation, f"{source} is no file")
        with os.fdopen(descriptor, "rb") as file:
            if status.st_size > max_bytes:
                raise Rejected(
                    operation,
                    f"it has {status.st_size / 2**20:.1f} MB, more than the"
                    f" {max_bytes // 2**20} MB allowed",
                    "split it, or raise ingest.max_file_mb",
                )
            return self._copy(file, operation)

    def forget(self, sha256: str) -> None:
        """Delete a file; one that is gone already is no error.

        Raises:
            Retryable: the disk is failing or read-only.
        """
        with self._disk("forget an original"):
            self.path(sha256).unlink(missing_ok=True)

    def need(self, size: int) -> None:
        """Find out whether a file of so many bytes could be taken now; leave nothing behind.

        Raises:
            Retryable: the disk is full or failing.
        """
        with self._disk("keep originals"):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))

    def _copy(self, file: BinaryIO, operation: str) -> tuple[str, int]:
        digest = hashlib.sha256()
        size = 0
        with self._disk(operation), contextlib.ExitStack() as cleaning:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=self._folder, prefix=".new-", delete=False
            ) as copy:
                temporary = Path(copy.name)
                cleaning.callback(temporary.unlink, missing_ok=True)
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            if size == 0:
                raise Rejected(operation, "the file is empty")
            temporary.chmod(0o440)
            temporary.replace(self.path(digest.hexdigest()))
            sync(self._folder)  # or the name could be lost where the library's word is not
        return digest.hexdigest(), size

    @contextlib.contextmanager
    def _disk(self, operation: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Retryable(
                operation,
                f"{error.strerror or error}: {self._folder}",
                "look at the disk of the data folder",
            ) from error


def digest(path: Path) -> str:
    """Return the hash of a file's content.

    Raises:
        Rejected: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Rejected(f"read {path.name}", error.strerror or str(error)) from error
