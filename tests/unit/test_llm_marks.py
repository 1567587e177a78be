from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from services.llm_bridge.marks import Marks

pytestmark = pytest.mark.unit


def test_a_file_put_in_the_place_of_an_allowed_one_is_read_again(tmp_path: Path) -> None:
    file, kept = tmp_path / "m.gguf", tmp_path / "checksums.json"
    file.write_bytes(b"good")
    stat = file.stat()
    assert Marks(kept).make(str(file)) == hashlib.sha256(b"good").hexdigest()
    evil = tmp_path / "evil"
    evil.write_bytes(b"evil")
    os.utime(evil, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    evil.replace(file)
    assert file.stat().st_mtime_ns == stat.st_mtime_ns
    assert Marks(kept).make(str(file)) == hashlib.sha256(b"evil").hexdigest()


def test_a_file_that_stays_is_read_once(tmp_path: Path) -> None:
    file, kept = tmp_path / "m.gguf", tmp_path / "checksums.json"
    file.write_bytes(b"good")
    first = Marks(kept).make(str(file))
    assert Marks(kept).make(str(file), lambda: pytest.fail("it was read")) == first
