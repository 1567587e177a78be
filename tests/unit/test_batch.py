"""Which files `andon add` takes, and what their folders say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.batch import Folders, files_of
from services.ingest.folders import labels_for, read_note
from services.ingest.labels import Labels
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit

NOTE = "assets: [plant/m7]\nkind: manual\nfiles:\n  FD40.pdf: {model: FD40}\n"


@pytest.fixture
def drives(tmp_path: Path) -> Path:
    folder = tmp_path / "drives"
    for name in ("FD40.pdf", "line 2/FD40.pdf", "line 2/Old/fd1.md", ".git/x.pdf", "half.part"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (folder / "line 2" / "andon.yaml").write_text(NOTE)
    return folder


def test_a_folder_says_of_its_files_what_it_says_in_the_inbox(drives: Path) -> None:
    files = files_of(str(drives))
    assert [file.name for file in files] == ["FD40.pdf", "line 2/FD40.pdf", "line 2/Old/fd1.md"]
    folders = Folders(files)
    inbox = {"drives/line 2": read_note(NOTE)}
    said = [folders.labels(file) for file in files]
    assert said == [labels_for(f"drives/{file.name}", inbox) for file in files]
    assert said[0] == Labels(collection="drives")
    assert said[2].tags == ["line 2", "old"]
    assert (said[1].assets, said[1].model, said[2].model) == (["plant/m7"], "FD40", "")


def test_folders_of_a_pattern_speak_and_files_by_themselves_are_not_spoken_of(
    drives: Path,
) -> None:
    files = files_of(str(drives / "*"))
    assert [(file.name, file.folder and file.folder.name) for file in files] == [
        ("FD40.pdf", None), ("FD40.pdf", "line 2"), ("Old/fd1.md", "line 2"),
    ]  # fmt: skip
    said = [Folders(files).labels(file) for file in files]
    assert said[0] == Labels()
    assert (said[1].collection, said[1].kind, said[2].tags) == ("line 2", "manual", ["old"])


@pytest.mark.parametrize("text", [b"kind: [", b"colour: red", b"\xff\xfe"])
def test_a_note_that_cannot_be_read_is_named(drives: Path, text: bytes) -> None:
    path = drives / "andon.yaml"
    path.write_bytes(text)
    with pytest.raises(Rejected) as refused:
        Folders(files_of(str(drives)))
    assert str(path) in str(refused.value)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    for given, reason in (
        (tmp_path, "no files"), (tmp_path / "x.pdf", "no such file"), (tmp_path / "*", "no file")
    ):  # fmt: skip
        with pytest.raises(Rejected, match=reason):
            files_of(str(given))
