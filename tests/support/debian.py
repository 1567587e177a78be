"""A minimal Debian 12, made once and kept in ~/.cache/andon/box."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "andon" / "box"
_RELEASE = "bookworm"
_PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter")


def tree() -> Path:
    """The folder of a Debian 12 with systemd and nothing else; the test is skipped without one."""
    if os.geteuid() != 0:
        pytest.skip("to boot a box takes root")
    for program in _PROGRAMS:
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
            pytest.skip(f"{program} is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    made, ready = CACHE / "debian-12", CACHE / "debian-12.ready"
    with (CACHE / "debian-12.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            _make(made)
            ready.touch()
    return made


def _make(folder: Path) -> None:
    part = folder.with_suffix(".part")
    for old in (part, folder):
        shutil.rmtree(old, ignore_errors=True)
    log = folder.with_suffix(".log")
    with log.open("w") as said:
        command = ("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus")
        done = subprocess.run([*command, _RELEASE, part], stdout=said, stderr=said, check=False)
    if done.returncode:
        shutil.rmtree(part, ignore_errors=True)
        last = log.read_text().strip().rpartition("\n")[2]
        pytest.skip(f"no Debian 12 can be made here, is its mirror within reach? {last}")
    for archive in (part / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    part.rename(folder)
