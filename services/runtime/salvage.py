"""A damaged SQLite file is set aside and told; what can be recovered of it goes on.

Looked for at each start: the first page and the schema always; every page of a small file, of
one that an error or an earlier check called damaged, and, while the service runs, of a large one.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from services.runtime.durable import sync
from services.runtime.errors import Damaged, Fatal, Retryable
from services.runtime.process import Health
from services.runtime.recovery import RowTest, copy_with_wal, recover
from services.runtime.sqlite import Database

log = logging.getLogger(__name__)

CHECK_MB = 16
"""Files up to this size are checked whole at each start: under 0.1 s on a PC, 0.5 s on a card."""
KEPT_ASIDE = 3
"""Damaged files of one name that are kept, so that a failing disk does not fill up as well."""

TOLD_DAYS = 7
"""How long starts tell that a file was damaged, or until the one set aside is gone."""

_SUSPECT = ".suspect"
_NOTE = ".txt"
_NO_VERSION = 10_000
"""From here on it is no version of a schema but damage."""
_DONE = ".salvaged"
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do about one file when it is damaged."""

    migrations: Sequence[str]
    """Its schema, as for `open_database`."""
    recover: bool
    """Whether its rows are copied; False where all of it can be made again."""
    sparing: bool = False
    """As for `open_database`."""
    keep: Mapping[str, RowTest] = field(default_factory=dict)
    """By table, whether a row that could be read makes sense."""
    readable: Mapping[str, Callable[[bytes], object]] = field(default_factory=dict)
    """Queries of one column, and what must be able to decode each value of it."""
    mend: str = ""
    """Statements for the new file, for rows that lost what they refer to."""
    consequence: str
    """What it means for people, one sentence."""


@dataclass(frozen=True, kw_only=True)
class Salvage:
    """What was done about a damaged file."""

    aside: Path
    """Where it lies now."""
    reason: str
    """What was wrong with it."""
    kept: Mapping[str, int]
    """Rows that go on, by table; empty where none were to be copied."""


async def mend(path: Path, plan: Plan, health: Health) -> Salvage | None:
    """Make sure that a file can be opened, before it is; None where nothing was wrong.

    The trouble it tells of stays until the next start; where rows may be missing for `TOLD_DAYS`,
    over restarts too, unless what was set aside is moved or deleted before a start.

    Raises:
        Retryable: the disk is full, read-only or failing; the file stays where it is.
        Fatal: a newer Andon wrote the file, which stays where it is.
    """
    loop = asyncio.get_running_loop()
    key = f"salvage {path.name}"

    def begins(reason: str) -> None:
        text = f"{path.name} is damaged ({reason}) and is being repaired"
        loop.call_soon_threadsafe(health.trouble, key, text)

    try:
        salvage = await asyncio.to_thread(_mend, path, plan, begins)
    except (OSError, sqlite3.OperationalError) as error:
        raise Retryable(
            f"recover {path.name}", str(error), f"look at the disk of {path.parent}"
        ) from error
    if salvage is not None:
        text = _told(path, plan, salvage)
        log.error("%s", text)
        health.trouble(key, text)
        if plan.recover:
            await asyncio.to_thread(_leave_note, _note_of(salvage.aside), text)
    elif told := await asyncio.to_thread(_notes, path):
        health.trouble(key, told)
    return salvage


async def watch(database: Database) -> None:
    """End the service when its file turns out to be damaged, so that it starts anew.

    Also reads a large file once from end to end, which `mend` leaves out.

    Raises:
        Damaged: it is.
    """
    path = database.path
    large = await asyncio.to_thread(_size, path) > CHECK_MB * 2**20
    if large and (fault := await asyncio.to_thread(_fault, path)):
        await asyncio.to_thread(_suspect, path, fault)
        raise Damaged(f"check {path.name}", fault, "it is set aside at the next start")
    error = await database.damaged
    await asyncio.to_thread(_suspect, path, error.reason)
    raise error


def _told(path: Path, plan: Plan, salvage: Salvage) -> str:
    rows = ", ".join(f"{name} {count}" for name, count in salvage.kept.items())
    kept = f"; rows that could be read and go on: {rows}" if rows else ""
    return (
        f"{path.name} was damaged ({salvage.reason}) and is set aside as {salvage.aside};"
        f" {plan.consequence}{kept}"
    )


def _note_of(aside: Path) -> Path:
    return Path(f"{aside}{_NOTE}")


def _notes(path: Path) -> str:
    """Return what was said of the newest file set aside, if it is still there and not old."""
    for aside in sorted(path.parent.glob(f"{path.name}.damaged-*Z"), reverse=True):
        note = _note_of(aside)
        if note.exists():
            age_s = time.time() - note.stat().st_mtime
            return note.read_text(encoding="utf-8") if age_s < TOLD_DAYS * 86_400 else ""
    return ""


def _mend(path: Path, plan: Plan, begins: Callable[[str], None]) -> Salvage | None:
    for left in path.parent.glob(f".{path.name}-*"):  # by one that was ended while it was at it
        shutil.rmtree(left)
    done = path.with_name(path.name + _DONE)
    suspect = path.with_name(path.name + _SUSPECT)
    if done.exists():  # the power went while files were being renamed
        aside = _set_aside(path)
        done.replace(path)
        suspect.unlink(missing_ok=True)
        return Salvage(aside=aside, reason="found at the last start", kept={})
    if not path.exists():
        if suspect.exists():
            suspect.unlink()
        return None
    _newer(path, plan)
    reason = _reason(path, suspect, plan)
    if not reason:
        return None
    begins(reason)
    kept: dict[str, int] = {}
    if plan.recover:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
            copy = copy_with_wal(path, Path(folder))
            new = Path(folder) / "new"
            kept = recover(
                copy, new, plan.migrations, keep=plan.keep, mend=plan.mend, sparing=plan.sparing
            )
            sync(new)
            new.replace(done)
            sync(path.parent)
    aside = _set_aside(path)
    if plan.recover:
        done.replace(path)
    suspect.unlink(missing_ok=True)
    sync(path.parent)
    return Salvage(aside=aside, reason=reason, kept=kept)


def _newer(path: Path, plan: Plan) -> None:
    """Leave alone what a newer Andon wrote: its rows make no sense to us. Raises Fatal."""
    try:
        with closing(_look(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        return  # damaged, or cannot be opened: `_reason` says which
    known = len(plan.migrations)
    if known < version < _NO_VERSION:
        raise Fatal(
            f"open {path.name}",
            f"its schema is version {version}, this Andon knows {known}",
            "install the newer Andon that wrote it",
        )


def _reason(path: Path, suspect: Path, plan: Plan) -> str:
    """Return what is wrong with a file, empty where nothing is."""
    if suspect.exists():
        return suspect.read_text(encoding="utf-8") or "an error while it was read"
    small = _size(path) <= CHECK_MB * 2**20
    try:
        return _fault(path, whole=small) or _unreadable(path, plan)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            return ""  # a matter of rights or of the disk, and `open_database` says so
        raise


def _fault(path: Path, *, whole: bool = True) -> str:
    """Return what SQLite finds wrong with a file."""
    try:
        with closing(_look(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not whole:
                return ""
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _CORRUPT:
            return str(error)
        raise
    return "" if found == "ok" else " ".join(str(found).split())


def _look(path: Path) -> sqlite3.Connection:
    """Open a file without writing, so that its WAL stays what it is."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)


def _unreadable(path: Path, plan: Plan) -> str:
    """Return what is wrong with the rows that a start depends on."""
    with closing(_look(path)) as connection:
        for query, decode in plan.readable.items():
            try:
                for (value,) in connection.execute(query):
                    decode(value)
            except msgspec.MsgspecError as error:
                return f"a row cannot be read: {error}"
            except sqlite3.OperationalError as error:
                # A file that is new or of an older schema has no such table yet.
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in _CORRUPT:
                    raise
                return str(error)
    return ""


def _set_aside(path: Path) -> Path:
    """Rename the file and what belongs to it; return where it is."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    # The file itself goes first: a WAL left alone is not read, a file without its WAL would be.
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.replace(f"{aside}{ending}")
    older = sorted(p for p in path.parent.glob(f"{path.name}.damaged-*Z"))
    for old in older[:-KEPT_ASIDE]:
        for ending in ("", "-wal", "-shm", _NOTE):
            Path(f"{old}{ending}").unlink(missing_ok=True)
        log.warning("%s is deleted: %d newer ones are kept", old.name, KEPT_ASIDE)
    return aside


def _suspect(path: Path, reason: str) -> None:
    """Leave a note for the next start."""
    _leave_note(path.with_name(path.name + _SUSPECT), reason)


def _leave_note(note: Path, text: str) -> None:
    try:
        note.write_text(text, encoding="utf-8")
    except OSError as error:
        # A full disk; the log has the text, and the next start looks at the file by itself.
        log.warning("%s could not be written: %s", note.name, error)


def _size(path: Path) -> int:
    wal = path.with_name(f"{path.name}-wal")
    return sum(p.stat().st_size for p in (path, wal) if p.exists())
