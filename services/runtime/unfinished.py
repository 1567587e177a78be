"""A restore that was cut off while it put files in place: no service may start on a half of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from services.runtime.errors import Fatal, Rejected

RESTORING = ".restoring"
"""Folder in the data folder where a restore writes."""
COMPLETE = "complete"
"""File in it: all is written, and what is in place may be half old and half new."""


def refuse(data: Path) -> None:
    """Refuse a data folder that a restore has not finished with.

    Raises:
        Fatal: it is one.
    """
    if (data / RESTORING / COMPLETE).exists():
        raise Fatal(
            "start",
            f"a restore into {data} was cut off while it put files in place",
            "start the same `andon restore` once more: it goes on where it was",
        )


def believe(staging: Path) -> None:
    """Refuse to go on with what another user left: root would put it where that one may not.

    Raises:
        Rejected: it is another's.
    """
    status = staging.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise Rejected(
            "restore",
            f"{staging} was left by another user",
            "go on as the one who began; where nobody began to restore, delete it",
        )
