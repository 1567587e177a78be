"""What can still be read of a damaged SQLite file, copied into a new one.

Each table is read around its damage. When a page is damaged that holds the names of the tables,
the first above all, those of an empty file with the same schema take their place.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from services.runtime.damaged_table import Table, connect, slices, tables
from services.runtime.sqlite import SPARING
from services.runtime.sqlite_pages import pad, transplant

RowTest = Callable[[Mapping[str, Any]], bool]


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
    pad(source)
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
        for table in tables(new):
            test = keep.get(table.name, _any)
            new.execute("BEGIN")
            kept[table.name] = sum(
                _insert(new, table, [row for row in rows if test(dict(row))])
                for rows in slices(source, table)
            )
            new.execute("COMMIT")
        for trigger in triggers:
            new.execute(trigger)
    _create(target, migrations, version)
    with closing(sqlite3.connect(target)) as new:
        new.executescript(f"BEGIN;\n{mend}\n;COMMIT;")
    return kept


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
        wanted = {table.name for table in tables(connection)}
    version = _version(source, wanted)
    if version is None:
        transplant(source, pattern.read_bytes())
        version = _version(source, set())
    return min(version or newest, newest) or newest


def _version(path: Path, wanted: set[str]) -> int | None:
    """Return the version of a file's schema, None where that cannot be read."""
    try:
        with closing(connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            # An older schema may lack some of the newest tables, but not all of them.
            if wanted and wanted.isdisjoint(table.name for table in tables(connection)):
                return None
            return int(version)
    except sqlite3.DatabaseError:
        return None


def _any(_row: Mapping[str, Any]) -> bool:
    return True


def _insert(new: sqlite3.Connection, table: Table, rows: Sequence[sqlite3.Row]) -> int:
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
        with suppress(sqlite3.IntegrityError):
            new.execute(statement, [row[name] for name in names])
    return new.total_changes - before


def copy_with_wal(path: Path, folder: Path) -> Path:
    """Copy a file and its WAL into a folder. Raises OSError."""
    copy = folder / path.name
    shutil.copyfile(path, copy)
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists():
        shutil.copyfile(wal, folder / wal.name)
    return copy
