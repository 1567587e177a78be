"""The sample manual, generated for tests."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sample_manual(folder: Path, kind: str) -> Path:
    """Put the manual into a folder; `kind` is `pdf` or `docx`."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(_made(kind), folder))


@functools.cache
def _made(kind: str) -> Path:
    """Make it, once a process."""
    folder = tempfile.mkdtemp(prefix="andon-sample-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    script = ROOT / "deploy" / "sample" / "make_manual.py"
    done = subprocess.run(
        [sys.executable, str(script), folder, f"--{kind}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(done.stdout.strip().splitlines()[-1])
