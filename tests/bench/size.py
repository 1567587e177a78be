"""What an installed node takes on disk: an environment of its own for each, measured."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NODES = {"answer": "an answering node", "full": "a node with ingest"}
_MIB = 1024 * 1024


def folder_mb(folder: Path) -> float:
    """Return the size of a folder's files, MiB, links not followed."""
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir()) / _MIB


def largest(site: Path, n: int = 8) -> dict[str, float]:
    """Return the largest packages of an environment, MiB."""
    sizes = {p.name: folder_mb(p) for p in site.iterdir() if p.is_dir()}
    top = sorted(sizes.items(), key=lambda item: -item[1])[:n]
    return {name: round(size, 1) for name, size in top}


def measure() -> dict[str, Any]:
    """Install each node from this checkout and return its size with what takes it."""
    found: dict[str, Any] = {}
    for extra in NODES:
        env = ROOT / "build" / f"node-{extra}"
        shutil.rmtree(env, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
        command = [str(env / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
        command += ["--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*command, f"{ROOT}[{extra}]"], check=True, cwd=ROOT)
        site = next((env / "lib").glob("python*/site-packages"))
        for tool in ("pip", "setuptools"):  # a box is not installed onto
            for part in site.glob(f"{tool}*"):
                shutil.rmtree(part)
        found[extra] = {"mb": round(folder_mb(env), 1), "largest_mb": largest(site)}
        shutil.rmtree(env)
    return found
