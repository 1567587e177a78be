"""The files in which the bridge and whoever runs the model's server speak to each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from schemas.models import Chosen, Running
from services.runtime.errors import Damaged, Retryable

T = TypeVar("T", Chosen, Running)

_FOLDER = "model"
_NAMES: dict[type[Chosen | Running], str] = {
    Chosen: "current.json",
    Running: "server.json",
}


def folder(data: Path) -> Path:
    """Return where all about the model in use is kept."""
    return data / _FOLDER


def read(data: Path, kind: type[T]) -> T | None:
    """Return what a file says, None where there is none.

    Raises:
        Damaged: it makes no sense; it was removed.
        Retryable: the disk fails, or the file is not ours to read.
    """
    path = folder(data) / _NAMES[kind]
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        path.unlink(missing_ok=True)
        raise Damaged(f"read {path}", str(error), "choose the model again") from error
    except OSError as error:
        raise Retryable(f"read {path}", error.strerror or str(error)) from error


def write(data: Path, said: Chosen | Running) -> None:
    """Write a file; a reader sees the former one or this one, also after a power cut.

    Raises:
        Retryable: the disk is full or failing; the former one stands.
    """
    path = folder(data) / _NAMES[type(said)]
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(said), indent=2))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Retryable(f"write {path}", reason, "free space on the data folder's disk") from error


def remove(data: Path, kind: type[Chosen | Running]) -> None:
    """Remove a file, if it is there."""
    (folder(data) / _NAMES[kind]).unlink(missing_ok=True)
