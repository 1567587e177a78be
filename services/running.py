"""Which `andon up` runs, if any: its configuration has the port and the password."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.runtime import config as configuration
from services.runtime.config import Config
from services.runtime.errors import Fatal

LEFT = "up.yaml"
"""What `andon up` leaves in its data folder for the services and the other commands."""
_LOCK = "up.lock"
_TRIES = 5
_TRY_S = 0.05


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a folder for this process: two that write the same files would damage them.

    Raises:
        Fatal: another one has it.
    """
    with (folder / _LOCK).open("w") as lock:
        for left in reversed(range(_TRIES)):  # another command may just be looking
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left:
                    time.sleep(_TRY_S)
                    continue
                raise Fatal(
                    "start",
                    f"another `andon up` runs in {folder}",
                    "end it, or name another --data",
                ) from None
        yield


def is_held(folder: Path) -> bool:
    """Return whether an `andon up` runs in a folder."""
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def settings(named: str | None) -> Config:
    """Return the configuration to speak to Andon with.

    That of the `andon up` that runs in the data folder of the configuration, or, where none is
    named, in the usual one; the newest if both do. Else the configuration itself.

    Raises:
        Fatal: the configuration is wrong.
    """
    config = configuration.load(configuration.find(named))
    left = [config.data_dir / LEFT]
    if not named and not os.environ.get("ANDON_CONFIG"):
        left.append(Path(configuration.LEFT_BY_UP))
    alive = [one for one in left if one.is_file() and is_held(one.parent)]
    if not alive:
        return config
    return configuration.load(max(alive, key=lambda one: one.stat().st_mtime_ns))
