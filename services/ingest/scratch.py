"""The folders that readers may write, each for one reader and gone with it.

Where the service was killed, its folder stays: the next start clears it away. Others may be at
work in the same place, so each holds a lock on its folder, which the kernel gives up with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "andon-reading-"
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for a reader, among the temporary files; it goes with the block.

    Raises:
        OSError: there is no room for one.
    """
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            opened = os.open(path, _FLAGS)
        except FileNotFoundError:
            continue  # cleared away before it was locked, by another Andon that just starts
        try:
            # Not all file systems have locks: what lies there is never cleared away.
            with contextlib.suppress(OSError):
                fcntl.flock(opened, fcntl.LOCK_EX)
            if path.exists():
                yield path
                return
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(opened)


def clear() -> int:
    """Delete the folders whose service is gone; return how many."""
    cleared = 0
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Not a folder, gone by now, somebody else's, or in use.
        with contextlib.suppress(OSError):
            opened = os.open(path, _FLAGS)
            try:
                if os.fstat(opened).st_uid == os.geteuid():
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
                    cleared += 1
            finally:
                os.close(opened)
    return cleared
