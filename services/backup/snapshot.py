"""Databases as they are at one moment, copied while others write to them.

A read transaction is begun on each of them first, within a millisecond, and held until all are
copied: SQLite then shows what was committed when it began, whatever is written meanwhile, and the
copy need not begin anew. Nobody waits: in WAL mode readers and writers do not see each other. So
the copies together are what a power cut at that moment would have left, and the services are made
to start from that.

The order counts where something is committed in that millisecond. The ledger is first: its answers
name the corpus' generation, and must not know one that is still to come. The corpus comes before
the library: a document that is in the library alone is taken in again from its original. Were it
in the corpus alone, nobody would know its original. Whether corpus and library changed in between
is looked at, and both are begun anew then.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from services.backup.staging import Staging
from services.runtime.errors import Damaged, Retryable

LEDGER, CORPUS, LIBRARY = "ledger.db", "corpus.db", "library.db"
ORDER = (LEDGER, CORPUS, LIBRARY)
"""See above."""
_PAGES = 512
"""Copied in one step: between two of them the disk is somebody else's."""
_TRIES = 200
_PAUSE_S = 0.02


class Moment:
    """All databases of a data folder, held as they are."""

    def __init__(self, held: dict[str, sqlite3.Connection]) -> None:
        self._held = held

    @property
    def names(self) -> list[str]:
        """Return the files there are."""
        return list(self._held)

    def size(self, name: str) -> int:
        """Return the bytes of one."""
        read = self._held[name]
        (pages,) = read.execute("PRAGMA page_count").fetchone()
        (size,) = read.execute("PRAGMA page_size").fetchone()
        return int(pages * size)

    def copy(self, name: str, staging: Staging, progress: Callable[[], None]) -> int:
        """Copy one, and check the copy; return the version of its schema.

        Raises:
            Retryable: no room for the copy, a disk that fails, or another file in its place.
            Damaged: it is damaged.
        """
        target = staging.folder / name
        try:
            made = staging.database(name)
        except OSError as error:
            raise Retryable(
                f"copy {name}", f"{target}: {error.strerror}", f"look at {target.parent.parent}"
            ) from error
        try:
            with closing(made) as copy:
                self._held[name].backup(copy, pages=_PAGES, progress=lambda *_: progress())
            return checked(target)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise damaged(name, str(error)) from error
            raise Retryable(
                f"copy {name}", str(error), f"look at the disk of {target.parent}"
            ) from error


def checked(path: Path) -> int:
    """Read a file that nobody writes from end to end; return the version of its schema.

    Raises:
        Damaged: it is damaged.
    """
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
        ) as copy:
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = copy.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise damaged(path.name, str(error)) from error
    if found != "ok":
        raise damaged(path.name, " ".join(str(found).split()))
    return int(version)


def damaged(name: str, why: str) -> Damaged:
    """Return what to tell of a damaged database."""
    return Damaged(
        f"back up {name}",
        f"it is damaged: {why}",
        "nothing was backed up, former backups stay; the service mends it at its next start",
    )


@contextmanager
def moment(folder: Path) -> Iterator[Moment]:
    """Hold the databases of a folder as they are now.

    Raises:
        Retryable: one cannot be opened.
    """
    with ExitStack() as stack:
        there = [name for name in ORDER if (folder / name).is_file()]
        try:
            looking = {name: stack.enter_context(closing(_open(folder / name))) for name in there}
            held = {name: stack.enter_context(closing(_open(folder / name))) for name in there}
            _hold(held, {name: one for name, one in looking.items() if name != LEDGER})
        except sqlite3.DatabaseError as error:
            raise Retryable(
                "back up", f"a database cannot be read: {error}", f"look at {folder}"
            ) from error
        yield Moment(held)


def _hold(held: dict[str, sqlite3.Connection], looking: dict[str, sqlite3.Connection]) -> None:
    """Begin to read all; anew while those looked at change in between."""
    for _ in range(_TRIES):
        before = _versions(looking)
        for one in held.values():
            one.execute("BEGIN")
            one.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if _versions(looking) == before:
            return
        for one in held.values():
            one.execute("ROLLBACK")
        time.sleep(_PAUSE_S)
    for one in held.values():  # never quiet: the order has to do
        one.execute("BEGIN")
        one.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _versions(looking: dict[str, sqlite3.Connection]) -> list[int]:
    """Return numbers that differ when somebody else committed."""
    return [one.execute("PRAGMA data_version").fetchone()[0] for one in looking.values()]


def _open(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)
