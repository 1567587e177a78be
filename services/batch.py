"""The files that `andon add` is given, and what their folders say of them.

A folder means what it means in the inbox: its name is the collection, those below it are tags,
and an `andon.yaml` says more.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.ingest.folders import LONGEST_NOTE, NOTE, FolderNote, ignored, labels_for, read_note
from services.ingest.labels import Labels
from services.runtime.errors import Rejected


@dataclass(frozen=True, slots=True)
class Given:
    """A file to add."""

    path: Path
    """Where it is."""
    name: str
    """Under which it is kept: in a folder its path inside it, as two manuals may both have an
    index.md."""
    folder: Path | None = None
    """The folder that was given, where one was."""


def files_of(given: str) -> list[Given]:
    """Return the files of a path or pattern.

    Raises:
        Rejected: there are none.
    """
    path = Path(given).resolve()
    if path.is_file():
        return [Given(path, path.name)]
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and _wanted(p.relative_to(path)))
        if not found:
            raise Rejected(f"add {given}", "the folder has no files")
        return [Given(p, p.relative_to(path).as_posix(), path) for p in found]
    if not glob.has_magic(given):
        raise Rejected(f"add {given}", "no such file")
    # Not Path.glob: a pattern may begin anywhere, at / as well.
    matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207
    matching = [one for match in matches for one in _some(match)]
    if not matching:
        raise Rejected(
            f"add {given}", "no file matches", "what is hidden or unfinished is left out"
        )
    return matching


def _some(match: str) -> Iterator[Given]:
    """Yield the files of a match; an empty folder among others is no mistake."""
    path = Path(match)
    if path.is_dir() and not any(
        p.is_file() and _wanted(p.relative_to(path)) for p in path.rglob("*")
    ):
        return
    if path.is_dir() or _wanted(Path(path.name)):
        yield from files_of(match)


def _wanted(path: Path) -> bool:
    """Return whether a file inside a folder is neither hidden nor half of one."""
    return not any(map(ignored, path.parts))


class Folders:
    """What the folders that were given say of their files."""

    def __init__(self, files: Iterable[Given]) -> None:
        """Read the notes in them.

        Raises:
            Rejected: one of them cannot be read.
        """
        self._notes = {
            folder: dict(_notes(folder))
            for folder in dict.fromkeys(file.folder for file in files)
            if folder is not None
        }

    def labels(self, file: Given) -> Labels:
        """Return what is said of a file; nothing of one that was given by itself."""
        if file.folder is None:
            return Labels()
        return labels_for(f"{file.folder.name}/{file.name}", self._notes[file.folder])


def _notes(folder: Path) -> Iterator[tuple[str, FolderNote]]:
    """Yield the notes in and below a folder, by the path that begins with its name."""
    for path in sorted(folder.rglob(NOTE)):
        inside = path.parent.relative_to(folder)
        if not path.is_file() or not _wanted(inside):
            continue
        try:
            with path.open("rb") as file:
                text = file.read(LONGEST_NOTE + 1).decode("utf-8-sig")
            yield (folder.name / inside).as_posix(), read_note(text)
        except OSError as error:
            raise Rejected(f"read {path}", str(error.strerror)) from error
        except UnicodeDecodeError as error:
            raise Rejected(f"read {path}", "it is not UTF-8") from error
        except Rejected as error:
            raise Rejected(f"read {path}", error.reason, error.hint) from error
