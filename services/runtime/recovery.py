"""What can still be read of a damaged SQLite file, copied into a new one.

SQLite stops at the first damaged page. So each table is read from both ends up to the damage,
and what lies between is halved, by row number or by the first column of the key, until only
the rows on damaged pages are left out. When a page is damaged that holds the names of the
tables, the first above all, those of an empty file with the same schema take their place.
"""

from __future__ import annotations

import heapq
import shutil
import sqlite3
import struct
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from services.runtime.sqlite import SPARING

RowTest = Callable[[Mapping[str, Any]], bool]

PROBES = 20_000
"""Failing reads a table is worth: some 20 µs each."""
HOPELESS = 1_500
"""Of them without a single row, one after the other, after which a table is left alone."""
FRUITLESS = 8
"""Halvings in a row that give no row, after which a range of text keys is given up."""
_MAGIC = b"SQLite format 3\0"
_PADDING = 256
"""Pages of nulls that take the place of those that were cut off."""
_SMALLEST_ROW = 32
"""Bytes; with its number and time none of ours is smaller."""
_BATCH = 500
_INTERIOR = 5
"""Kind of a page of a table that names others."""
_WIDTH = 12
"""Bytes of a text key that tell where a row is, after what all keys have in common."""


def recover(
    source: Path,
    target: Path,
    migrations: Sequence[str],
    *,
    keep: Mapping[str, RowTest],
    mend: str = "",
    sparing: bool = False,
) -> dict[str, int]:
    """Copy what is readable of `source`, WAL included, into the new file `target`.

    Both lie in a folder of the caller's; `source` is a copy that may be changed.

    Args:
        source: the damaged file, its WAL beside it.
        target: made here, with the newest schema; not in WAL mode.
        migrations: as for `open_database`.
        keep: by table, whether a row that was read makes sense.
        mend: statements for the end, for rows that lost what they refer to.
        sparing: as for `open_database`; it also decides where on the disk the tables begin.

    Returns:
        Rows kept, by table.

    Raises:
        sqlite3.Error: the disk is full or failing, or `mend` is wrong.
        OSError: the disk is full or failing.
    """
    _pad(source)
    pattern = target.with_name(target.name + ".empty")
    _create(pattern, migrations, 0, sparing=sparing)
    version = _make_readable(source, pattern, len(migrations))
    pattern.unlink()
    _create(target, migrations[:version], 0, sparing=sparing)
    kept: dict[str, int] = {}
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        new.execute("PRAGMA foreign_keys=OFF")
        new.execute("PRAGMA synchronous=OFF")
        triggers = _drop_triggers(new)
        for table in _tables(new):
            test = keep.get(table.name, _any)
            new.execute("BEGIN")
            kept[table.name] = sum(
                _insert(new, table, [row for row in rows if test(dict(row))])
                for rows in _slices(source, table)
            )
            new.execute("COMMIT")
        for trigger in triggers:
            new.execute(trigger)
    _create(target, migrations, version)
    with closing(sqlite3.connect(target)) as new:
        new.executescript(f"BEGIN;\n{mend}\n;COMMIT;")
    return kept


class _Table:
    """A table of the schema, and the axis along which it is searched for readable rows."""

    def __init__(self, new: sqlite3.Connection, name: str, sql: str) -> None:
        self.name = name
        info = new.execute(f'PRAGMA table_info("{name}")').fetchall()
        self.columns = [row[1] for row in info]
        self.by_number = "WITHOUT ROWID" not in sql.upper()
        key = [row[1] for row in sorted(info, key=lambda row: int(row[5])) if row[5]]
        self.key = "rowid" if self.by_number else f'"{key[0]}"'
        self.order = ["rowid"] if self.by_number else [f'"{column}"' for column in key]


def _tables(connection: sqlite3.Connection) -> list[_Table]:
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%'"
        " ESCAPE '~' ORDER BY rowid"
    ).fetchall()
    return [_Table(connection, name, sql) for name, sql in rows]


def _drop_triggers(new: sqlite3.Connection) -> list[str]:
    """Drop what would write beside the rows that are copied; return how to make it again."""
    found = new.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in found:
        new.execute(f'DROP TRIGGER "{name}"')
    return [sql for _, sql in found]


def _create(path: Path, migrations: Sequence[str], done: int, *, sparing: bool = False) -> None:
    """Apply the migrations after the first `done`."""
    with closing(sqlite3.connect(path)) as new:
        for pragma in SPARING if sparing else ():
            new.execute(f"PRAGMA {pragma}")
        for number, script in enumerate(migrations[done:], start=done + 1):
            new.executescript(f"BEGIN;\n{script}\n;PRAGMA user_version={number};\nCOMMIT;")


def _make_readable(source: Path, pattern: Path, newest: int) -> int:
    """Give the file a schema if its own is damaged; return the version of its schema."""
    with closing(sqlite3.connect(pattern)) as connection:
        wanted = {table.name for table in _tables(connection)}
    version = _version(source, wanted)
    if version is None:
        empty = pattern.read_bytes()
        size = _page_size(empty)
        pages = max(1, source.stat().st_size // size)
        first = bytearray(empty[:size])
        first[18:20] = b"\x02\x02"  # WAL
        first[24:28] = first[92:96]  # or the number of pages would be taken for out of date
        first[28:32] = struct.pack(">I", pages)
        first[32:40] = bytes(8)  # no list of free pages: nobody will write here
        with source.open("r+b") as file:
            file.write(first)
            for number in _further_pages(first):
                file.seek((number - 1) * size)
                file.write(empty[(number - 1) * size : number * size])
        version = _version(source, set())
    return min(version or newest, newest) or newest


def _pad(source: Path) -> None:
    """Make a file that was cut off as long as its header says, or the header say less.

    SQLite reads nothing at all of a file that is shorter than its header says, nor of one that
    lacks a page where a table begins. Those lie near the front.
    """
    left = source.stat().st_size
    with source.open("r+b") as file:
        head = file.read(100)
        if len(head) < 100 or not head.startswith(_MAGIC):
            return
        size = _page_size(head)
        (pages,) = struct.unpack(">I", head[28:32])
        if size < 512 or pages * size <= left:
            return
        pages = min(pages, -(-left // size) + _PADDING)
        file.truncate(pages * size)
        file.seek(28)
        file.write(struct.pack(">I", pages))


def _first_page(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(65536)
    return head[: _page_size(head)]


def _page_size(file: bytes) -> int:
    (size,) = struct.unpack(">H", file[16:18])
    return 65_536 if size == 1 else int(size)


def _further_pages(first: bytes | bytearray) -> list[int]:
    """Return the numbers of the pages where the schema goes on that the first has no room for.

    Format: https://www.sqlite.org/fileformat2.html#b_tree_pages. They are the same in every file
    made by the same statements: SQLite never moves what is in use so early in the file.
    """
    if first[100] != _INTERIOR:
        return []
    (count,) = struct.unpack(">H", first[103:105])
    cells = struct.unpack(f">{count}H", first[112 : 112 + 2 * count])
    return [int.from_bytes(first[at : at + 4], "big") for at in (108, *cells)]


def _version(path: Path, wanted: set[str]) -> int | None:
    """Return the version of a file's schema, None where that cannot be read."""
    try:
        with closing(_connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            # An older schema may lack some of the newest tables, but not all of them.
            if wanted and wanted.isdisjoint(table.name for table in _tables(connection)):
                return None
            return int(version)
    except sqlite3.DatabaseError:
        return None


def _connect(path: Path) -> sqlite3.Connection:
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


def _any(_row: Mapping[str, Any]) -> bool:
    return True


def _insert(new: sqlite3.Connection, table: _Table, rows: Sequence[sqlite3.Row]) -> int:
    """Insert what the schema allows; return how many that were."""
    if not rows:
        return 0
    names = [name for name in rows[0].keys() if name in table.columns]  # noqa: SIM118  a Row
    before = new.total_changes
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    statement = f'INSERT OR IGNORE INTO "{table.name}" ({columns}) VALUES ({marks})'  # noqa: S608
    for row in rows:
        # One by one: a value that the schema's types refuse is an error despite OR IGNORE.
        with _refusals_skipped():
            new.execute(statement, [row[name] for name in names])
    return new.total_changes - before


@contextmanager
def _refusals_skipped() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        return


def _slices(source: Path, table: _Table) -> Iterator[list[sqlite3.Row]]:
    """Yield the readable rows of a table, some of them perhaps twice."""
    reader = _Reader(source, table)
    try:
        yield from reader.all()
    finally:
        reader.close()


class _Reader:
    """Reads the rows of one table around what is damaged."""

    def __init__(self, source: Path, table: _Table) -> None:
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
                self._connection = _connect(self._source)
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


def copy_with_wal(path: Path, folder: Path) -> Path:
    """Copy a file and its WAL into a folder. Raises OSError."""
    copy = folder / path.name
    shutil.copyfile(path, copy)
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists():
        shutil.copyfile(wal, folder / wal.name)
    return copy
