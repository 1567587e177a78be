"""The rows of a damaged SQLite table that can still be read.

SQLite stops at the first damaged page. So a table is read from both ends up to the damage, and
what lies between is halved, by row number or by the first column of the key, until only the rows
on damaged pages are left out.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

PROBES = 20_000
"""Failing reads a table is worth: some 20 µs each."""
HOPELESS = 1_500
"""Of them without a single row, one after the other, after which a table is left alone."""
FRUITLESS = 8
"""Halvings in a row that give no row, after which a range of text keys is given up."""
_SMALLEST_ROW = 32
"""Bytes; with its number and time none of ours is smaller."""
_BATCH = 500
_WIDTH = 12
"""Bytes of a text key that tell where a row is, after what all keys have in common."""


class Table:
    """A table of the schema, and the axis along which it is searched for readable rows."""

    def __init__(self, new: sqlite3.Connection, name: str, sql: str) -> None:
        self.name = name
        info = new.execute(f'PRAGMA table_info("{name}")').fetchall()
        self.columns = [row[1] for row in info]
        self.by_number = "WITHOUT ROWID" not in sql.upper()
        key = [row[1] for row in sorted(info, key=lambda row: int(row[5])) if row[5]]
        self.key = "rowid" if self.by_number else f'"{key[0]}"'
        self.order = ["rowid"] if self.by_number else [f'"{column}"' for column in key]


def tables(connection: sqlite3.Connection) -> list[Table]:
    """Return the tables of a schema, in the order they were made."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%'"
        " ESCAPE '~' ORDER BY rowid"
    ).fetchall()
    return [Table(connection, name, sql) for name, sql in rows]


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that may be damaged anywhere."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


def _text(raw: bytes) -> str | bytes:
    """Return text, or the bytes where they are none: their row fails the test, or is kept so."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def slices(source: Path, table: Table) -> Iterator[list[sqlite3.Row]]:
    """Yield the readable rows of a table, some of them perhaps twice."""
    reader = _Reader(source, table)
    try:
        yield from reader.all()
    finally:
        reader.close()


class _Reader:
    """Reads the rows of one table around what is damaged."""

    def __init__(self, source: Path, table: Table) -> None:
        self._source = source
        self._table = table
        self._connection: sqlite3.Connection | None = None
        self._prefix = b""
        self._last: Any = None
        self._rows = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def all(self) -> Iterator[list[sqlite3.Row]]:
        """Yield slices: first what the ends give, then the halves between, widest first."""
        if (yield from self._read(None, None, backwards=False)):
            return
        low = self._last
        if (yield from self._read(None, None, backwards=True)):
            return
        high = self._last
        if self._table.by_number:
            low, high = self._reach(low, high)
        else:
            self._prefix = _common(low, high)
        # Widest first, so that the probes are spread over the whole table when there are too few.
        gaps = [(0, self._place(low, -1), self._place(high, 1), 0)]
        probes = found = 0
        most = 128 if self._table.by_number else FRUITLESS
        while gaps and probes < PROBES and probes - found < HOPELESS:
            _, begin, end, vain = heapq.heappop(gaps)
            probes += 1
            before = self._rows
            middle = (begin + end) // 2
            for left, right in ((begin, middle), (middle, end)):
                if 0 < right - left < end - begin:
                    gap = yield from self._narrow(left, right)
                    if gap:
                        again = vain + 1 if gap == (left, right) else 0
                        if again <= most:
                            heapq.heappush(gaps, (gap[0] - gap[1], *gap, again))
            if self._rows > before:
                found = probes

    def _reach(self, low: int | None, high: int | None) -> tuple[int | None, int | None]:
        """Return the ends of a table by number; one that is unknown as far off as rows may be.

        Numbers are given one after the other, and a file has room for so many rows only.
        """
        room = self._source.stat().st_size // _SMALLEST_ROW
        if low is None and high is not None:
            low = high - room
        elif high is None and low is not None:
            high = low + room
        return low, high

    def _narrow(
        self, left: int, right: int
    ) -> Generator[list[sqlite3.Row], None, tuple[int, int] | None]:
        """Yield what the ends of a range give; return what is left between them."""
        bounds = self._key(left), self._key(right)
        if (yield from self._read(*bounds, backwards=False)):
            return None
        first = left if self._last is None else max(left, self._place(self._last, 0))
        if (yield from self._read(*bounds, backwards=True)):
            return None
        last = right if self._last is None else min(right, self._place(self._last, 0))
        return (first, last) if last - first > 1 else None

    def _place(self, key: Any, beyond: int) -> int:
        """Return where a key lies on the axis; `beyond` is the end to take where it is None."""
        if self._table.by_number:
            return int(key) if key is not None else beyond * 2**62
        if key is None:
            return 0 if beyond < 0 else 256**_WIDTH
        raw = key.encode() if isinstance(key, str) else bytes(key)
        return int.from_bytes(raw[len(self._prefix) :][:_WIDTH].ljust(_WIDTH, b"\0"), "big")

    def _key(self, place: int) -> Any:
        if self._table.by_number:
            return place
        if place >= 256**_WIDTH:
            return self._prefix + b"\xff" * _WIDTH
        return self._prefix + place.to_bytes(_WIDTH, "big").rstrip(b"\0")

    def _read(
        self, low: Any, high: Any, *, backwards: bool
    ) -> Generator[list[sqlite3.Row], None, bool]:
        """Yield rows from `low` up to `high`, or back; returns True when there was no damage.

        `self._last` is the key of the last row that was read, None where there was none.
        """
        self._last = None
        table = self._table
        direction = " DESC" if backwards else ""
        order = ", ".join(f"{column}{direction}" for column in table.order)
        bound = "?" if table.by_number else "CAST(? AS TEXT)"
        limits = [
            (f"{table.key} {sign} {bound}", value)
            for sign, value in ((">=", low), ("<=", high))
            if value is not None
        ]
        where = f" WHERE {' AND '.join(text for text, _ in limits)}" if limits else ""
        extra = "rowid AS _place, " if table.by_number else f"{table.key} AS _place, "
        sql = f'SELECT {extra}* FROM "{table.name}" NOT INDEXED{where} ORDER BY {order}'  # noqa: S608
        rows: list[sqlite3.Row] = []
        try:
            if self._connection is None:
                self._connection = connect(self._source)
            for row in self._connection.execute(sql, [value for _, value in limits]):
                rows.append(row)
                self._last = row["_place"]
                self._rows += 1
                if len(rows) == _BATCH:
                    yield rows
                    rows = []
        except (sqlite3.DatabaseError, MemoryError):
            yield rows
            return False
        yield rows
        return True


def _common(low: Any, high: Any) -> bytes:
    """Return what two text keys begin with."""
    a, b = ((k.encode() if isinstance(k, str) else bytes(k or b"")) for k in (low, high))
    length = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)
    return a[:length]
