"""What the folders of the inbox say about the files in them (pure).

The first folder is the collection, each one below it a tag. An `andon.yaml` in a folder speaks of
every file in and below it, the nearest one last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec
import yaml

from services.ingest.labels import Labels, labels_of, overlaid, word_of
from services.runtime.errors import Rejected

NOTE = "andon.yaml"
"""Name of the file in which a folder says more."""
LONGEST_NOTE = 64 * 1024
"""Bytes."""
_IGNORED = {"thumbs.db", "desktop.ini", NOTE}
_UNFINISHED = (
    ".part",
    ".tmp",
    ".temp",
    ".crdownload",
    ".partial",
    ".filepart",
    ".swp",
    ".bak",
    "~",
)


class FileNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a note says about one file."""

    title: str = ""
    assets: list[str] = []
    lang: str = ""
    kind: str = ""
    model: str = ""
    collection: str = ""
    tags: list[str] = []


class FolderNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a note says about all files of its folder."""

    assets: list[str] = []
    lang: str = ""
    kind: str = ""
    model: str = ""
    collection: str = ""
    tags: list[str] = []
    files: dict[str, FileNote] = {}
    """More about some, by their names."""

    @property
    def title(self) -> str:
        """Return nothing: a title is one document's."""
        return ""


class _Plain(yaml.SafeLoader):
    """YAML without aliases: a few lines of them are millions of words."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """See `yaml.composer.Composer`."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="an alias (*) is not allowed", problem_mark=mark)
        return super().compose_node(parent, index)


def ignored(name: str) -> bool:
    """Return whether a file or folder of this name is none of ours: hidden, or unfinished."""
    lower = name.lower()
    return name.startswith((".", "~$")) or lower in _IGNORED or lower.endswith(_UNFINISHED)


def read_note(text: str) -> FolderNote:
    """Return what the text of an `andon.yaml` says.

    Raises:
        Rejected: it is too long, no YAML, or has a wrong key or value.
    """
    if len(text) > LONGEST_NOTE:
        raise Rejected(f"read {NOTE}", f"it is longer than {LONGEST_NOTE // 1024} KiB")
    try:
        note = msgspec.convert(yaml.load(text, _Plain) or {}, FolderNote)  # noqa: S506  it is safe_load's
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise Rejected(f"read {NOTE}", " ".join(str(error).split())) from error
    for said in (note, *note.files.values()):
        labels_of(said)
    return note


def labels_for(path: str, notes: Mapping[str, FolderNote]) -> Labels:
    """Return what is said about a file.

    Args:
        path: inside the inbox, parts joined by `/`.
        notes: by folder, the inbox itself being the empty one.
    """
    place = PurePosixPath(path)
    folders = place.parts[:-1]
    labels = labels_of(
        FileNote(
            collection=word_of(folders[0]) if folders else "",
            tags=[word_of(folder.lower()) for folder in folders[1:]],
        )
    )
    for folder in _down(folders):
        note = notes.get(folder)
        if note is not None:
            labels = overlaid(labels, labels_of(note))
            if folder == "/".join(folders) and (one := note.files.get(place.name)):
                labels = overlaid(labels, labels_of(one))
    return labels


def _down(folders: tuple[str, ...]) -> Iterator[str]:
    yield ""
    for depth in range(1, len(folders) + 1):
        yield "/".join(folders[:depth])
