"""Hands a file to a service that cannot see it where it lies."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.runtime import foreign
from services.runtime.errors import Rejected

_PREFIX = "handed-"
"""Those a killed command left are removed at the next boot, see deploy/systemd/andon.tmpfiles."""


@contextmanager
def handed(path: Path, data: Path) -> Iterator[Path]:
    """Yield where the service can read a file, for as long as the block lasts.

    On a box the services are another user's, with no home folders and a /tmp of their own. There
    root copies the file into their data folder; where they are our own, it is read where it is.

    Args:
        path: the file.
        data: the data folder; who owns it runs the services.

    Raises:
        Rejected: it cannot be read, or there is no room for the copy.
    """
    if os.geteuid() != 0 or not data.is_dir() or data.stat().st_uid == 0:
        yield path
        return
    name = f"{_PREFIX}{secrets.token_hex(8)}"
    copy = data / name / path.name
    try:
        try:
            _copied(path, data, name)
        except OSError as error:
            raise Rejected("add", f"{path}: {error.strerror}") from error
        yield copy
    finally:
        shutil.rmtree(copy.parent, ignore_errors=True)


def _copied(path: Path, data: Path, name: str) -> None:
    """Copy a file into a new folder of the data folder and give both to its owner."""
    with foreign.opened(data) as outer:
        owner = os.fstat(outer)
        os.mkdir(name, 0o700, dir_fd=outer)
        with foreign.opened(name, outer) as folder:
            with (
                path.open("rb") as source,
                os.fdopen(foreign.create(path.name, folder), "wb") as to,
            ):
                shutil.copyfileobj(source, to)
                foreign.give(to.fileno(), owner)
            foreign.give(folder, owner)
