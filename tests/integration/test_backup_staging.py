"""Where a backup copies databases to: a folder of another user, who may put links in its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.backup import making
from services.backup.staging import PREFIX, Staging
from services.runtime.errors import Retryable
from tests.support.backups import nothing, tree, wanted

pytestmark = pytest.mark.integration
_OTHERS = "another's"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tree(tmp_path / "data")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of the system's, with a file named as ours are."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "corpus.db").write_text(_OTHERS)
    return folder


def swap(data: Path, theirs: Path) -> None:
    """Put a link where the folder of a backup is."""
    [folder] = data.glob(f"{PREFIX}*")
    folder.rename(data / "taken")
    folder.symlink_to(theirs)


def test_a_link_in_place_of_the_folder_is_not_followed(
    data: Path, theirs: Path, tmp_path: Path
) -> None:
    def take(name: str, _done: int, _total: int) -> None:
        if name.endswith("ledger.db") and not (data / "taken").exists():
            swap(data, theirs)

    with pytest.raises(Retryable, match="somebody put another one in its place"):
        making.make(wanted(data, tmp_path / "backups"), take)
    assert {path.name: path.read_text() for path in theirs.iterdir()} == {"corpus.db": _OTHERS}
    assert list((data / "taken").iterdir()) == []


def test_a_link_that_was_left_keeps_nobody_from_a_backup(
    data: Path, theirs: Path, tmp_path: Path
) -> None:
    (data / f"{PREFIX}link").symlink_to(theirs)
    (data / f"{PREFIX}left").mkdir()
    (data / f"{PREFIX}left" / "ledger.db").write_text("cut off")
    making.make(wanted(data, tmp_path / "backups"), nothing)
    assert list(data.glob(f"{PREFIX}*")) == []
    assert (theirs / "corpus.db").read_text() == _OTHERS


def test_what_is_read_again_is_what_was_copied(data: Path, theirs: Path) -> None:
    staging = Staging(data)
    staging.database("corpus.db").close()
    swap(data, theirs)
    with staging.open("corpus.db") as file:
        assert file.read() == b""
    staging.close()
    assert (theirs / "corpus.db").exists()


def test_a_copy_has_no_journal_beside_it(data: Path, tmp_path: Path) -> None:
    seen = set[str]()

    def look(_name: str, _done: int, _total: int) -> None:
        seen.update(path.name for path in data.glob(f"{PREFIX}*/*"))

    making.make(wanted(data, tmp_path / "backups"), look)
    assert seen == {"ledger.db", "corpus.db", "library.db"}
