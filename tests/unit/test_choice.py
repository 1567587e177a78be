"""The files between the bridge and the model's server, on a disk that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.models import Choice, Chosen
from services.llm_bridge.rack import _is_there
from services.runtime import choice
from services.runtime.errors import Damaged, Retryable

pytestmark = pytest.mark.unit

CHOSEN = Chosen(now=Choice(path="/m.gguf", context=4096, slots=1, since="2026-01-31T12:00:00Z"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert choice.read(tmp_path, Chosen) is None
    choice.write(tmp_path, CHOSEN)
    assert choice.read(tmp_path, Chosen) == CHOSEN


def test_what_makes_no_sense_is_removed(tmp_path: Path) -> None:
    choice.write(tmp_path, CHOSEN)
    file = choice.folder(tmp_path) / "current.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(Damaged):
        choice.read(tmp_path, Chosen)
    assert choice.read(tmp_path, Chosen) is None


def test_a_disk_that_fails_ends_no_process(tmp_path: Path) -> None:
    choice.folder(tmp_path).touch()  # no folder can be made there, nor read
    with pytest.raises(Retryable, match=r"current\.json"):
        choice.write(tmp_path, CHOSEN)
    with pytest.raises(Retryable, match=r"current\.json"):
        choice.read(tmp_path, Chosen)


def test_a_file_that_cannot_be_looked_at_ends_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.gguf").touch()
    assert _is_there(tmp_path / "m.gguf")
    assert not _is_there(tmp_path / "gone.gguf")
    assert not _is_there(tmp_path / ("x" * 5000))

    def not_ours(_path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", not_ours)
    assert _is_there(tmp_path / "m.gguf"), "another user's folder"
