"""Which files belong in a backup."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote

import yaml

from services.backup.manifest import DATA, ETC, told

FOLDERS = ("history", "inbox", "model")
"""Of the data folder, beside databases and originals. Not: vectors and spool, which are derived;
what `andon up` and the broker leave; what was set aside."""
SINGLE = ("lexicon.txt",)
KEYS, MODELS = "keys", "models"
TLS = "tls"
OPEN = ("config.yaml", "profile", "*.conf", "*.crt", "acl", "acl.*")
"""Names in the configuration's folder that hold no secret; every other may."""
_ORIGINAL = re.compile(r"[0-9a-f]{64}\Z")
_SECRET_KEY = re.compile(r"(?m)^(\s*(?:password|api_key|rerank_api_key)[ \t]*:)[^\n]*$")
_SECRET_KEYS = frozenset({"password", "api_key", "rerank_api_key"})


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file to take."""

    path: Path
    """Where it lies."""
    name: str
    """As `manifest.told` has it."""
    text: bytes | None = None
    """What is taken in its place."""
    sha256: str = ""
    """What it must be; empty where that is not known."""


def data_files(data: Path, inbox: Path, *, keys: bool, models: bool) -> Iterator[Source]:
    """Yield the files of the data folder, without databases and originals."""
    folders = [*FOLDERS, *([KEYS] if keys else []), *([MODELS] if models else [])]
    for name in folders:
        if name == "inbox" and inbox != data / "inbox":
            continue  # a share of the plant's: not ours to save
        for path in _below(data / name):
            yield Source(path=path, name=told(DATA, path.relative_to(data)))
    for name in SINGLE:
        if (data / name).is_file():
            yield Source(path=data / name, name=told(DATA, name))


def originals(data: Path, library: Path | None) -> Iterator[Source]:
    """Yield the originals that a copy of the library knows; all where it does not know each.

    One that came since belongs to a document that came since.
    """
    folder = data / "originals"
    if library is None or not folder.is_dir():
        return
    known = known_originals(library)
    if known is None:
        known = {path.name for path in folder.iterdir()}
    for name in sorted(known):
        if _ORIGINAL.match(name):
            yield Source(path=folder / name, name=told(DATA, f"originals/{name}"), sha256=name)


def known_originals(library: Path) -> set[str] | None:
    """Return the hashes a copy of the library names; None where a revision lacks its own."""
    with closing(_copy(library)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema")}
        found = {row[0] for row in db.execute("SELECT sha256 FROM revision")}
        if "left_original" in tables:
            found |= {row[0] for row in db.execute("SELECT sha256 FROM left_original")}
        lacking = db.execute(
            "SELECT 1 FROM revision WHERE sha256 = '' AND passages > 0 LIMIT 1"
        ).fetchone()
    return None if lacking else found - {""}


def documents(library: Path | None) -> int:
    """Return how many documents a copy of the library has."""
    if library is None:
        return 0
    with closing(_copy(library)) as db:
        (count,) = db.execute("SELECT count(*) FROM document").fetchone()
    return int(count)


def _copy(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)


def configuration(folder: Path | None, file: Path | None, *, secrets: bool) -> Iterator[Source]:
    """Yield the files of the configuration.

    Args:
        folder: all of it is taken, such as /etc/andon; None where there is no such folder.
        file: the configuration, where it lies elsewhere.
        secrets: whether files that may hold secrets are taken as well.
    """
    paths = list(_below(folder)) if folder else [file] if file else []
    for path in paths:
        below = path.relative_to(folder) if folder else Path("config.yaml")
        if "before-restore" in below.parts[0]:
            continue
        name = told(ETC, below)
        if secrets:
            yield Source(path=path, name=name)
        elif is_open(below):
            text = without_secrets(path.read_bytes()) if path.suffix == ".yaml" else None
            if text is not None or path.suffix != ".yaml":
                yield Source(path=path, name=name, text=text)


def is_open(path: Path) -> bool:
    """Return whether a file of the configuration's folder holds no secret, by its name.

    Certificates of the broker count with their keys: without them they lock the broker, which
    does not start with a key that is not its certificate's.
    """
    return TLS not in path.parts[:-1] and any(fnmatch(path.name, pattern) for pattern in OPEN)


def without_secrets(text: bytes) -> bytes | None:
    """Return a configuration without its passwords and keys; None where they are hard to find."""
    try:
        plain = text.decode("utf-8")
        hidden = set(_secrets(yaml.safe_load(plain)))
    except (UnicodeDecodeError, yaml.YAMLError):
        return None
    left = _SECRET_KEY.sub(r'\1 ""', plain)
    return None if any(secret in left for secret in hidden) else left.encode()


def _secrets(value: object, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _secrets(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner)
    elif key in _SECRET_KEYS and value not in (None, ""):
        yield str(value)


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and those in it; links and pipes are none."""
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(where) / name
            try:
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path
            except FileNotFoundError:
                continue  # it went meanwhile
