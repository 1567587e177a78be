"""The sample manual, generated for tests."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sample_manual(folder: Path, kind: str) -> Path:
    """Put the manual into a folder; `kind` is `pdf` or `docx`."""
    name, content = _made(kind)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


@functools.cache
def _made(kind: str) -> tuple[str, bytes]:
    """Return its name and content, made once a process."""
    script = ROOT / "deploy" / "sample" / "make_manual.py"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(script), folder, f"--{kind}"],
            check=True,
            capture_output=True,
            text=True,
        )
        path = Path(done.stdout.strip().splitlines()[-1])
        return path.name, path.read_bytes()
