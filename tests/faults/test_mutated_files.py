"""Files damaged by a seed: each is read or has a reason, in time, in its memory, without a trace.

Some here; `make mutants` takes 5,000.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
COUNT = 300


@pytest.mark.timeout(600)
def test_damaged_files_are_read_or_have_a_reason(tmp_path: Path) -> None:
    # A process of its own: the memory of its children counts, and of no others.
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.mutants", "--count", str(COUNT), "--seed", "7"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert f"{COUNT} files in " in done.stdout
    assert "0 did not end well\n" in done.stdout
    assert "left behind: []" in done.stdout
    assert list(tmp_path.iterdir()) == []
