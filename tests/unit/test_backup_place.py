"""Where backups may go: not onto the box's own disk where a share or a stick should be."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from services.backup import place
from services.runtime.errors import Rejected, Retryable

pytestmark = pytest.mark.unit

ROOT = "/dev/sda1 / ext4 rw 0 0\n"
SHARE = "//nas/backup /srv/nas cifs rw 0 0\n"


def refused(to: Path, data: Path, mounts: str = ROOT, fstab: str = "\n") -> str:
    with pytest.raises(Rejected) as caught:
        place.refuse(to, data, mounts=mounts, fstab=fstab)
    return str(caught.value)


def test_a_share_that_is_not_mounted(tmp_path: Path) -> None:
    to = tmp_path / "nas" / "andon"
    to.mkdir(parents=True)
    fstab = f"# shares\n//nas/backup\t{tmp_path}/nas\tcifs\tdefaults\t0\t0\n"
    assert f"{tmp_path}/nas is not mounted" in refused(to, tmp_path / "data", fstab=fstab)
    mounts = f"{ROOT}//nas/backup {tmp_path}/nas cifs rw 0 0\n"
    place.refuse(to, tmp_path / "data", mounts=mounts, fstab=fstab)


def test_a_share_whose_name_has_spaces(tmp_path: Path) -> None:
    to = tmp_path / "Werk Süd"
    to.mkdir()
    fstab = f"//nas/b {tmp_path}/Werk\\040Süd cifs defaults 0 0\n"
    assert "is not mounted" in refused(to, tmp_path / "data", fstab=fstab)


@pytest.mark.parametrize("folder", ["/media/x/stick", "/mnt", "/run/media/me/A", "/run/andonstick"])
def test_where_sticks_are_something_must_be_mounted(folder: str, tmp_path: Path) -> None:
    assert "nothing is mounted" in refused(Path(folder), tmp_path / "data")
    assert "nothing is mounted" in refused(Path(folder), tmp_path / "data", mounts=ROOT + SHARE)


def test_backups_and_data_in_one_another(tmp_path: Path) -> None:
    for to in ("data/backups", "data", "."):
        assert "one in the other" in refused(tmp_path / to, tmp_path / "data")


def test_a_folder_in_no_folder(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "a" / "b", tmp_path / "data")
    place.refuse(tmp_path / "a", tmp_path / "data", mounts=ROOT, fstab="\n")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EIO, "went away or fails"),
        (errno.ENODEV, "went away or fails"),
        (errno.EROFS, "Read-only"),
    ],
)
def test_what_an_error_of_the_disk_means(number: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(Retryable, match=said), place.on(tmp_path, "back up"):
        raise OSError(number, "Read-only file system" if number == errno.EROFS else "x")


def test_a_folder_that_became_another_one(tmp_path: Path) -> None:
    steady = place.Steady(tmp_path)
    steady.look()
    steady._device += 1
    with pytest.raises(OSError, match="No such device"):
        steady.look()
