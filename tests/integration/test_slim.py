"""What the bundle leaves out of the packages is of no use to any service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.formats import MAKERS
from tests.support.sample import sample_manual

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    "a.html": "<html><body><h1>Alarms</h1><p>E001 means mains low.</p></body></html>",
    "a.md": "# Alarms\n\nE001 means *mains low*.\n",
    "a.csv": "Code,Cause\nE001,Mains low\nE002,Brake hot\n",
    "a.json": '[{"code": "E001", "cause": "Mains low"}, {"code": "E002", "cause": "Hot"}]',
    "a.txt": "Check the supply of the drive, then reset it.",
}


def test_every_service_and_every_reader_works_without_what_is_left_out(tmp_path: Path) -> None:
    files = [make(tmp_path / name) for name, make in MAKERS.items()]
    files += [sample_manual(tmp_path, kind) for kind in ("pdf", "docx")]
    for name, text in TEXTS.items():
        files.append(tmp_path / name)
        files[-1].write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.slimmed", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    read = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert set(read) == {file.name for file in files}
    assert all(int(elements) > 0 for elements in read.values())
