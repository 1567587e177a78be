"""A file that the services cannot see where it lies is copied for them, and only there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.handing import handed
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit

_OTHER = 12_345


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_services_of_our_own_read_it_where_it_lies(tmp_path: Path, data: Path) -> None:
    os.chown(data, os.geteuid(), -1)
    path = tmp_path / "a.pdf"
    with handed(path, data) as seen:
        assert seen == path
    assert not list(data.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_user_gets_a_copy_for_a_while(tmp_path: Path, data: Path) -> None:
    os.chown(data, _OTHER, _OTHER)
    path = tmp_path / "手册 a.pdf"
    path.write_bytes(b"%PDF-1.7")
    with handed(path, data) as seen:
        assert seen.name == path.name
        assert seen.read_bytes() == b"%PDF-1.7"
        assert {seen.stat().st_uid, seen.parent.stat().st_uid} == {_OTHER}
        assert seen.parent.parent == data
    assert not list(data.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_cannot_be_read_is_told(tmp_path: Path, data: Path) -> None:
    os.chown(data, _OTHER, _OTHER)
    with pytest.raises(Rejected, match="No such file"), handed(tmp_path / "none.pdf", data):
        pass
    assert not list(data.iterdir())
