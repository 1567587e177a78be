"""Hands a file to a service that cannot see it where it lies."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    owner = data.stat()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=data))
    try:
        copy = folder / path.name
        try:
            shutil.copyfile(path, copy)
            for one in (copy, folder):
                os.chown(one, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise Rejected("add", f"{path}: {error.strerror}") from error
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)
