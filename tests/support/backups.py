"""A data folder with something of everything, without the services that fill it."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from services.backup import finding, making, restoring
from services.ingest.library import MIGRATIONS as LIBRARY
from services.orchestrator.ledger import MIGRATIONS as LEDGER
from services.retriever.statements import MIGRATIONS as CORPUS

SCHEMAS = {"ledger.db": LEDGER, "corpus.db": CORPUS, "library.db": LIBRARY}
KNOWN = {name: len(scripts) for name, scripts in SCHEMAS.items()}


def tree(folder: Path, *, originals: int = 3, size: int = 100_000, seed: int = 1) -> Path:
    """Fill a data folder, `originals` files of `size` bytes among it."""
    folder.mkdir(parents=True)
    for name, scripts in SCHEMAS.items():
        with closing(sqlite3.connect(folder / name)) as db:
            db.execute("PRAGMA synchronous=OFF")
            for script in scripts:
                db.executescript(script)
            db.execute(f"PRAGMA user_version={len(scripts)}")
            db.execute("PRAGMA journal_mode=WAL")
    made = random.Random(seed)
    (folder / "originals").mkdir()
    for number in range(originals):
        enter(folder, f"manual-{number}.pdf", made.randbytes(size))
    with closing(sqlite3.connect(folder / "ledger.db")) as db, db:
        db.executemany(
            "INSERT INTO rejected (topic, reason, head, size, received) VALUES (?, ?, '', 0, '')",
            [(f"plant/m{number}/fault", made.randbytes(200).hex()) for number in range(200)],
        )
    for name, text in (
        ("inbox/.andon-inbox", "0123456789abcdef\n"),
        ("inbox/halle 3/größe 100%.md", "# not taken in yet\n"),
        ("history/2025-01.jsonl.gz", "old"),
        ("lexicon.txt", "spindle | 主轴\n"),
        ("vectors/index.bin", "derived"),
        ("models/big.gguf", "GGUF"),
        ("up.yaml", "password: x\n"),
        ("keys/box.key", "00" * 32),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "inbox" / os.fsdecode(b"alt\xfc.txt")).write_bytes(b"a name that is no UTF-8")
    return folder


def enter(folder: Path, name: str, data: bytes) -> str:
    """Keep an original, and have the library know it."""
    sha256 = hashlib.sha256(data).hexdigest()
    (folder / "originals" / sha256).write_bytes(data)
    with closing(sqlite3.connect(folder / "library.db")) as db, db:
        db.execute("INSERT INTO document (doc_id, file, last) VALUES (?, ?, 1)", (name, name))
        db.execute(
            "INSERT INTO revision (doc_id, revision, sha256, size, title, state, updated)"
            " VALUES (?, 1, ?, ?, '', 'ready', '')",
            (name, sha256, len(data)),
        )
    return sha256


def wanted(data: Path, to: Path, **more: Any) -> making.Wanted:
    """Return what `andon backup` would want."""
    return making.Wanted(
        **{
            "data": data,
            "inbox": data / "inbox",
            "etc": None,
            "config": None,
            "to": to,
            "andon": "0.1.0",
            "box": "box",
            **more,
        }
    )


def nothing(_name: str, _done: int, _total: int) -> None:
    """Show no progress."""


def back_up(data: Path, to: Path, **more: Any) -> making.Made:
    """Make a backup."""
    return making.make(wanted(data, to, **more), nothing)


def bring_back(
    backup: Path,
    data: Path,
    *,
    key: Path | None = None,
    etc: Path | None = None,
    force: bool = False,
) -> restoring.Restored:
    """Restore one, as the command does."""
    found = finding.find(backup, key)
    finding.fit(found, KNOWN)
    finding.whole(found, nothing)
    return restoring.restore(found, data, etc, force=force, progress=nothing)


def rows(path: Path) -> list[str]:
    """Return all a database holds."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [line for line in db.iterdump() if "fts" not in line and "vocabulary" not in line]


def content(folder: Path, *, aside: bool = False) -> dict[str, Any]:
    """Return what a folder holds, by path: rows of databases, bytes and times of other files."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_dir() or name.endswith(("-wal", "-shm")):
            continue
        if name.startswith("before-restore-") and not aside:
            continue
        if path.parent == folder and path.suffix == ".db":
            found[name] = rows(path)
        else:
            found[name] = (path.read_bytes(), path.stat().st_mtime_ns)
    return found


def kept(folder: Path, *, secrets: bool = False) -> dict[str, Any]:
    """Return what of a data folder a backup brings back."""
    gone = ("vectors/", "models/", "up.yaml", *(() if secrets else ("keys/",)))
    return {name: what for name, what in content(folder).items() if not name.startswith(gone)}
