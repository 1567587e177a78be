"""Which model a server runs beyond its name: another file may lie under the same one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

_PART = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")


@dataclass(slots=True)
class LoadedFile:
    """The file of the model a server on this machine runs, as it was when the server read it.

    A file that is replaced is not read before the server starts again. Until it is known that it
    did, what runs may be either, so it is told from both.
    """

    path: str = ""
    """Of the file; of the first where there are several."""
    loaded: str = ""
    """What told it from others then; empty: never seen."""
    replaced: bool = False
    """Whether another one lies in its place since."""

    def mark(self, path: str, now: str, *, started: bool, known: str = "") -> str:
        """Return what tells the running model's file from others (pure).

        Args:
            path: of the file that the server names.
            now: what tells that file from others as it lies there; empty: it is not there, as
                where its stick was pulled, which takes nothing from a server that has read it.
            started: whether the server may have started since the last call.
            known: what told the file from others when its server was started, where that is known.
        """
        if known:
            self.path, self.loaded = path, known
        elif path != self.path or (now and (started or not self.loaded)):
            self.path, self.loaded = path, now
        self.replaced = now not in ("", self.loaded)
        return f"{self.loaded} or {now}" if self.replaced else self.loaded


async def on_disk(path: str) -> str:
    """Return size and time of a model's file, of all its parts; empty where it is not there."""
    return await asyncio.to_thread(seen, Path(path)) if path else ""


def seen(path: Path) -> str:
    """Return the same; blocks."""
    part = _PART.search(path.name)
    try:
        files = [path]
        if part:
            start = path.name[: part.start()]
            files = sorted(
                one
                for one in path.parent.iterdir()
                if one.name.startswith(start) and _PART.fullmatch(one.name[len(start) :])
            )
        looks = [file.stat() for file in files]
    except (OSError, ValueError):  # not there, not ours to see, or no path at all
        return ""
    return " ".join(f"{look.st_size}:{look.st_mtime_ns}" for look in looks)
