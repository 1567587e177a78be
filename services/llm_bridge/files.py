"""Which files of the models' folders make a model together (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from services.runtime.watching import Look

ENDING = ".gguf"
_PART = re.compile(r"-(\d{5})-of-(\d{5})$")
_BESIDE = ("mmproj", "mtp-", "draft-")
"""What such names begin with is part of another model, none by itself."""


@dataclass(frozen=True, slots=True)
class Group:
    """The files of a model."""

    path: str
    """The first of them, or where it should be."""
    parts: tuple[str, ...]
    """Those that are there, in order."""
    wanted: int
    """How many there should be."""
    look: Look
    """All their bytes, and when the last was written."""

    @property
    def name(self) -> str:
        """Return what the model is called by."""
        return name_of(self.path)


def name_of(path: str) -> str:
    """Return what the model of a file, or of the first of its parts, is called by."""
    return _PART.sub("", PurePath(path).name.removesuffix(ENDING))


def is_model(name: str) -> bool:
    """Return whether a file of this name is a model, or a part of one."""
    lower = name.lower()
    hidden = lower.startswith((".", *_BESIDE))
    return lower.endswith(ENDING) and not hidden


def grouped(files: Mapping[str, Look]) -> dict[str, Group]:
    """Return the models by their first file's path.

    Parts are called `…-00001-of-00003.gguf`, as `llama-gguf-split` names them.
    """
    found: dict[str, dict[int, str]] = {}
    wanted: dict[str, int] = {}
    for path in files:
        stem = path.removesuffix(ENDING)
        part = _PART.search(stem)
        first, number = path, 1
        if part and 1 <= int(part[1]) <= int(part[2]):
            number = int(part[1])
            first = f"{stem[: part.start()]}-00001-of-{part[2]}{ENDING}"
            wanted[first] = int(part[2])
        found.setdefault(first, {})[number] = path
    groups = {}
    for first, parts in found.items():
        paths = tuple(parts[number] for number in sorted(parts))
        looks = [files[path] for path in paths]
        look = Look(
            sum(one.size for one in looks),
            max(one.mtime_ns for one in looks),
            max(one.ctime_ns for one in looks),
        )
        groups[first] = Group(first, paths, wanted.get(first, 1), look)
    return groups
