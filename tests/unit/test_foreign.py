"""What root leaves in a folder of another user follows no link of his."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from services.backup import reading
from services.handing import handed
from services.parcel.keys import Box
from services.runtime import foreign
from services.runtime.errors import Fatal

pytestmark = pytest.mark.unit
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

_OTHER = 12_345


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder; where we are root it is another user's."""
    folder = tmp_path / "data"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, _OTHER, _OTHER)
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file of ours that the other one would like to have."""
    path = tmp_path / "mine"
    path.write_text("secret")
    path.chmod(0o600)
    return path


def _untouched(mine: Path) -> bool:
    status = mine.stat()
    return (mine.read_text(), status.st_uid, status.st_mode & 0o777) == (
        "secret",
        os.geteuid(),
        0o600,
    )


def test_a_file_is_its_folders_owners(data: Path) -> None:
    foreign.put(data / "a", b"1", mode=0o640)
    foreign.put(data / "a", b"2", mode=0o640)
    assert (data / "a").read_bytes() == b"2"
    assert (data / "a").stat().st_mode & 0o777 == 0o640
    assert (data / "a").stat().st_uid == data.stat().st_uid
    assert [path.name for path in data.iterdir()] == ["a"]


def test_a_link_is_replaced_and_not_followed(data: Path, mine: Path) -> None:
    (data / "a").symlink_to(mine)
    foreign.put(data / "a", b"1", mode=0o644)
    assert _untouched(mine)
    assert not (data / "a").is_symlink()


def test_nothing_is_left_of_what_failed(data: Path) -> None:
    (data / "a").mkdir()
    with pytest.raises(OSError, match="directory"):
        foreign.put(data / "a", b"1", mode=0o644)
    assert [path.name for path in data.iterdir()] == ["a"]


@pytest.mark.parametrize("planted", ["keys", "keys/.new", "keys/box.key"])
def test_the_key_of_a_box_follows_no_link(data: Path, mine: Path, planted: str) -> None:
    link = data / planted
    link.parent.mkdir(exist_ok=True)
    leads = {"keys": "away", "keys/.new": mine.name, "keys/box.key": "not there"}[planted]
    (mine.parent / "away").mkdir()
    link.symlink_to(mine.parent / leads)
    if planted == "keys":
        with pytest.raises(Fatal, match=r"Not a directory|symbolic links"):
            Box.of(data)
    else:
        assert Box.of(data).public
    assert _untouched(mine)
    assert not list((mine.parent / "away").iterdir())


@ROOT
def test_who_swaps_the_folder_while_a_file_is_handed_over_gets_nothing(
    data: Path, mine: Path, tmp_path: Path
) -> None:
    """A pipe holds the copying until the other one has done what he can."""
    source = tmp_path / "a.pdf"
    os.mkfifo(source)

    def swap() -> None:
        with source.open("wb") as writer:  # opened once the copying waits for it
            (folder,) = data.glob("handed-*")
            folder.rename(data / "away")
            folder.mkdir()
            (folder / source.name).symlink_to(mine)
            writer.write(b"%PDF")

    other = threading.Thread(target=swap)
    other.start()
    with handed(source, data):
        other.join()
        assert _untouched(mine)
        assert (data / "away" / source.name).read_bytes() == b"%PDF"


@ROOT
def test_a_backup_reads_no_link_that_leads_away(data: Path, mine: Path) -> None:
    (data / "lexicon.txt").symlink_to(mine)
    (data / "history").symlink_to(mine.parent)
    os.mkfifo(data / "pipe")
    for path in (data / "lexicon.txt", data / "history" / mine.name, data / "pipe"):
        with pytest.raises(OSError, match="link"):
            reading.opened(path, data)


def test_a_backup_reads_what_is_there_and_what_its_owner_moved_to_another_disk(
    data: Path, tmp_path: Path
) -> None:
    away = tmp_path / "disk"
    away.mkdir()
    (away / "a").write_bytes(b"1")
    os.chown(away / "a", data.stat().st_uid, -1)
    (data / "originals").symlink_to(away)
    (data / "b").write_bytes(b"2")
    for path in (data / "originals" / "a", data / "b"):
        with reading.opened(path, data) as file:
            assert file.read() in {b"1", b"2"}
