"""The bundle that `make bundle` made, and other versions made of it."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BROKEN = b'raise RuntimeError("this version is broken")\n'


def unpacked(folder: Path) -> Path:
    """Unpack the bundle into a folder; the test is skipped where there is none."""
    made = sorted((ROOT / "build").glob("andon-*.tar"), key=lambda path: path.stat().st_mtime)
    if not made:
        pytest.skip("there is no bundle: make bundle")
    with tarfile.open(made[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / made[-1].stem


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
