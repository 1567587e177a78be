"""The sample manual, generated for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sample_manual(folder: Path, kind: str) -> Path:
    """Make the manual in a folder; `kind` is `pdf` or `docx`."""
    script = ROOT / "deploy" / "sample" / "make_manual.py"
    done = subprocess.run(
        [sys.executable, str(script), str(folder), f"--{kind}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(done.stdout.strip().splitlines()[-1])
