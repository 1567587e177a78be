"""A box with Andon on it, installed from the bundle once and kept for the next time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import debian
from tests.support.box import Box

ROOT = Path(__file__).resolve().parents[2]
STICK = "/media/stick"
_PARTS = ("services", "schemas", "deploy", "docs", "pyproject.toml", "constraints.txt")
_KEPT = 2
_INSTALL_S = 400.0


def layers() -> Sequence[Path]:
    """The layers of a Debian 12 with Andon, ready to boot; the test is skipped without them."""
    base = debian.tree()
    made = debian.CACHE / f"installed-{_mark()}"
    with (debian.CACHE / "installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(base, made)
            _tidy()
        os.utime(made)
    return made, base


def _mark() -> str:
    """What tells one state of the sources from another."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *_PARTS]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sums = hashlib.sha256()
    for name in sorted(filter(None, names.split("\0"))):
        if (path := ROOT / name).is_file():
            sums.update(name.encode() + b"\0" + path.read_bytes())
    if named := os.environ.get("ANDON_BUNDLE"):
        sums.update(f"{named} {Path(named).stat().st_mtime_ns}".encode())
    return sums.hexdigest()[:16]


def _make(base: Path, made: Path) -> None:
    with tempfile.TemporaryDirectory(dir=debian.CACHE) as name:
        folder = Path(name)
        stick = _bundle(folder)
        with Box([base], folder / "box", shown={stick: STICK}) as box:
            box.boot()
            box.run(f"{STICK}/install.sh", within_s=_INSTALL_S)
            box.shut_down()
            # What the installing box was is not what each that starts from it is.
            for path in ("etc/machine-id", "var/lib/systemd/random-seed"):
                (box.root / path).unlink(missing_ok=True)
            shutil.rmtree(box.root / "var/log/journal", ignore_errors=True)
            box.release()
            box.written.rename(made)


def _bundle(folder: Path) -> Path:
    """Return the unpacked bundle: that of ANDON_BUNDLE, or one made of these sources."""
    if named := os.environ.get("ANDON_BUNDLE"):
        archive = Path(named)
    else:
        command = (sys.executable, "-m", "deploy.bundle", "--out", str(folder))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            pytest.skip(f"no bundle can be made here, are the package registries in reach? {last}")
        (archive,) = folder.glob("andon-*.tar")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    (stick,) = (path for path in folder.glob("andon-*") if path.is_dir())
    return stick


def _tidy() -> None:
    """Delete what older sources left."""
    kept = sorted(debian.CACHE.glob("installed-*"), key=lambda path: path.stat().st_mtime)
    for old in kept[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
