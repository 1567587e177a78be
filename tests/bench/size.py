"""What an installed node takes on disk, out of what the bundle is made of."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from deploy.bundle import debs, wheels
from deploy.bundle.__main__ import CACHE
from deploy.setup.unpack import unpack

ROOT = Path(__file__).resolve().parents[2]
_MIB = 1024 * 1024


def folder_mb(folder: Path) -> float:
    """Return the size of a folder's files, MiB, links not followed."""
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir()) / _MIB


def largest(site: Path, n: int = 8) -> dict[str, float]:
    """Return the largest packages of an installation, MiB."""
    sizes = {p.name: folder_mb(p) for p in site.iterdir() if p.is_dir()}
    top = sorted(sizes.items(), key=lambda item: -item[1])[:n]
    return {name: round(size, 1) for name, size in top}


def measure() -> dict[str, Any]:
    """Return the size of each kind of node with what takes it, and of Debian's packages."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        wheels.gather(ROOT, folder / "wheels", CACHE)
        for node in wheels.NODES:
            site = folder / node
            unpack(folder / "wheels", node, site)
            found[node] = {"mb": round(folder_mb(site), 1), "largest_mb": largest(site)}
        _, found["debian_packages_mb"] = debs.gather(folder / "debs", CACHE / "apt", ocr=False)
    return found
