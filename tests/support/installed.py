"""A box with Andon on it, installed from the bundle once and kept for the next time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tests.support import bundles, debian
from tests.support.box import Box

STICK = "/media/stick"
_KEPT = 2
_INSTALL_S = 400.0


def layers() -> Sequence[Path]:
    """The layers of a Debian 12 with Andon, ready to boot; the test is skipped without them."""
    base = debian.tree()
    how = zlib.crc32(Path(__file__).read_bytes())
    made = debian.CACHE / f"installed-{bundles.mark()}-{how:08x}"
    with (debian.CACHE / "installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(base, made)
            _tidy()
        os.utime(made)
    return made, base


def _make(base: Path, made: Path) -> None:
    with tempfile.TemporaryDirectory(dir=debian.CACHE) as name:
        folder = Path(name)
        stick = bundles.unpacked(folder)
        with Box([base], folder / "box", shown={stick: STICK}) as box:
            box.boot()
            box.run(f"{STICK}/install.sh", within_s=_INSTALL_S)
            box.shut_down()
            # What the installing box was is not what each that starts from it is. Empty, not gone:
            # a first boot enables all units there are, Debian's own broker too.
            (box.root / "etc/machine-id").write_bytes(b"")
            (box.root / "var/lib/systemd/random-seed").unlink(missing_ok=True)
            shutil.rmtree(box.root / "var/log/journal", ignore_errors=True)
            box.release()
            box.written.rename(made)


def _tidy() -> None:
    """Delete what older sources left."""
    kept = sorted(debian.CACHE.glob("installed-*"), key=lambda path: path.stat().st_mtime)
    for old in kept[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
