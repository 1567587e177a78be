"""An Andon that has taken in the sample manual: made once a run of the tests, then copied.

To read and index it takes three times the work of a start.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from pathlib import Path

from tests.support.andon import Andon
from tests.support.sample import sample_manual


class Knowing:
    """Hands out copies of its data."""

    def __init__(self, folder: Path) -> None:
        """Keep them in a folder, which other processes may use as well."""
        self._folder = folder

    def __call__(self, folder: Path, *options: str) -> None:
        """Put `data` into a folder; `options` are those of `andon add`."""
        made = self._folder / re.sub(r"\W", "_", "-".join(options) or "plain")
        self._folder.mkdir(exist_ok=True)
        with made.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (made / "ready").exists():
                _make(made, options)
                (made / "ready").touch()
        shutil.copytree(made / "data", folder / "data", dirs_exist_ok=True)


def _make(folder: Path, options: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with Andon(folder) as running:
        added = running.cli("add", str(sample_manual(folder, "pdf")), *options)
        assert added.returncode == 0, added.stderr + running.said()
    assert running.exit_code == 0, running.said()
