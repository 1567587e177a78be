"""Files of the history: ledger rows as compressed JSON Lines, one object a line.

Each line has `table` and the row's columns. JSON bodies stand in the line as they are; a payload
is text, or `payload_base64` where it is not UTF-8.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any, Self

import msgspec

from services.runtime.durable import sync
from services.runtime.errors import Rejected, Retryable

_NAME = re.compile(r"ledger-\d{4}-\d\d-\d\d-(\d{4}-\d\d-\d\d)(?:-\d+)?\.jsonl\.gz")
_LEVEL = 6  # 9 takes twice the time for 1 % less


def line(table: str, row: Mapping[str, Any]) -> bytes:
    """Return a row as one line, newline included."""
    fields: dict[str, Any] = {"table": table}
    for name, value in row.items():
        if name in {"body", "request"}:
            fields[name] = msgspec.Raw(value)
        elif isinstance(value, bytes) and name != "payload":
            fields[f"{name}_base64"] = value  # the encoder's form for bytes
        elif isinstance(value, bytes):
            try:
                fields[name] = value.decode("utf-8")
            except UnicodeDecodeError:
                fields[f"{name}_base64"] = value
        elif value is not None:
            fields[name] = value
    return msgspec.json.encode(fields) + b"\n"


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, each with its `table`.

    Raises:
        Rejected: the file is damaged; that may show at its end only.
        Retryable: the disk does not give it.
    """
    try:
        with gzip.open(path, "rb") as file:
            yield from map(msgspec.json.decode, file)
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise Rejected("read history", f"{path}: {error}", "the file is damaged") from error
    except OSError as error:
        raise Retryable(
            "read history", f"{path}: {error}", f"look at the disk of {path.parent}"
        ) from error


def verify(path: Path) -> None:
    """Read a file to its end, with its checksum; raises as `read`."""
    for _ in read(path):
        pass


def set_aside(path: Path) -> Path:
    """Rename a damaged file; return its new name. Raises Retryable."""
    aside = path.with_name(f"{path.name}.damaged")
    with _disk(path):
        path.replace(aside)
    return aside


def free_name(folder: Path, first: date, until: date) -> str:
    """Return a name for rows from day `first` to before day `until`, not taken yet."""
    stem, number = f"ledger-{first}-{until}", 1
    while (folder / (name := f"{stem}{f'-{number}' if number > 1 else ''}.jsonl.gz")).exists():
        number += 1
    return name


def outdated(names: Iterable[str], before: date) -> list[str]:
    """Return the names of files whose last day lies before a day."""
    return sorted(
        name for name in names if (m := _NAME.fullmatch(name)) and date.fromisoformat(m[1]) < before
    )


class Writer:
    """A file on its way: under a name ending in `.part` until `publish`.

    Left without `publish`, it is removed. All block, and raise Retryable where the disk is full or
    failing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder / "ledger.jsonl.gz.part"
        self.rows = 0
        """Rows written."""

    def __enter__(self) -> Self:
        with _disk(self._part):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._raw = self._part.open("wb")
            # Without a time in it the same rows make the same file.
            self._zip = gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0)
        return self

    def write(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows of a table."""
        with _disk(self._part):
            self._zip.write(b"".join(line(table, row) for row in rows))
        self.rows += len(rows)

    def seal(self) -> None:
        """Bring everything to the disk."""
        with _disk(self._part):
            self._zip.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())

    def publish(self, name: str) -> Path:
        """Give the sealed file its name, for good."""
        path = self._folder / name
        with _disk(path):
            self._part.rename(path)
            sync(self._folder)
        return path

    def __exit__(self, *_: object) -> None:
        for file in (self._zip, self._raw):
            with suppress(OSError):  # a full disk refuses the rest again; the file goes anyway
                file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def delete(path: Path) -> None:
    """Delete a file.

    Raises:
        Retryable: the disk is read-only or failing.
    """
    with _disk(path):
        path.unlink(missing_ok=True)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Retryable(
            f"write {path}", str(error.strerror or error), f"look at the disk of {path.parent}"
        ) from error
