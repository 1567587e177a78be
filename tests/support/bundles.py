"""The bundle of these sources, and other versions made of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from tests.support import debian

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("services", "schemas", "deploy", "docs", "pyproject.toml", "constraints.txt")
"""Of the sources, what a bundle is made of."""
BROKEN = b'raise RuntimeError("this version is broken")\n'


def mark() -> str:
    """Return what tells the bundle of one state of the sources from another's."""
    if named := os.environ.get("ANDON_BUNDLE"):
        return hashlib.sha256(f"{named} {Path(named).stat().st_mtime_ns}".encode()).hexdigest()[:16]
    found = (path for part in _PARTS for path in (ROOT / part, *(ROOT / part).rglob("*")))
    sums = hashlib.sha256()
    for path in sorted(found):
        if path.is_file() and "__pycache__" not in path.parts:
            sums.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return sums.hexdigest()[:16]


def made() -> Path:
    """Return the bundle of these sources, or that of ANDON_BUNDLE; it is made once and kept.

    The test is skipped where none can be made.
    """
    if named := os.environ.get("ANDON_BUNDLE"):
        return Path(named)
    debian.CACHE.mkdir(parents=True, exist_ok=True)
    kept = debian.CACHE / f"bundle-{mark()}"
    with (debian.CACHE / "bundle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for old in sorted(debian.CACHE.glob("bundle-*"), key=os.path.getmtime)[:-1]:
                shutil.rmtree(old)
            _make(kept)
    (archive,) = kept.glob("andon-*.tar")
    return archive


def _make(kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=debian.CACHE) as folder:
        command = (sys.executable, "-m", "deploy.bundle", "--out", folder)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            pytest.skip(f"no bundle can be made here, are the package registries in reach? {last}")
        part = kept.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for archive in Path(folder).glob("andon-*.tar"):
            shutil.move(archive, part)
        part.rename(kept)


def unpacked(folder: Path) -> Path:
    """Unpack the bundle into a folder; the test is skipped where there is none."""
    subprocess.run(["tar", "-xf", made(), "-C", folder], check=True)
    (bundle,) = (path for path in folder.glob("andon-*") if path.is_dir())
    return bundle


def another(bundle: Path, version: str, *, broken: bool = False) -> Path:
    """Copy a bundle under another version; a broken one has a retriever that cannot start."""
    copy = bundle.with_name(f"andon-{version}")
    shutil.copytree(bundle, copy)
    manifest = copy / "MANIFEST"
    lines = manifest.read_text().splitlines()
    kept = [f"version={version}" if x.startswith("version=") else x for x in lines]
    manifest.write_text("\n".join(kept) + "\n")
    if broken:
        wheel = next((copy / "wheels").glob("andon-*.whl"))
        with zipfile.ZipFile(wheel, "a") as archive:
            # Unpacked after the one that works, whose bytecode nobody asks for then.
            archive.writestr("services/retriever/service/__init__.py", BROKEN)
    seal(copy)
    return copy


def seal(bundle: Path) -> None:
    """Write the checksums anew."""
    sums = bundle / "SHA256SUMS"
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path != sums)
    digests = ((hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in files)
    sums.write_text("".join(f"{digest}  {p.relative_to(bundle)}\n" for digest, p in digests))
