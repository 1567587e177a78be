"""Models as cartridges: the GGUF files of some folders, as they come, change and go."""

from __future__ import annotations

import asyncio
import glob
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from services.llm_bridge import gguf
from services.llm_bridge.files import Group, grouped, is_model
from services.llm_bridge.gguf import Header
from services.llm_bridge.marks import Marks
from services.runtime.errors import Rejected
from services.runtime.watching import Look, Watch

log = logging.getLogger(__name__)

_SHARE = 100
"""Looking takes at most one part in so many of a processor's time."""
_LONGEST_PAUSE_S = 30.0
_EVERY_S = 2.0
_EAGER = 4
"""While a file is waited for, looks are so many times as frequent."""
_SETTLE_S = 2.0
"""A file that did not change for so long is whole, as far as its time tells."""
_SLOW_S = 30.0
"""One that is too short is still being copied if it was written to within so long."""
_MOST = 1000
"""Files looked at."""
_ODD_KINDS = {"adapter", "mmproj", "imatrix", "vocab"}
_NO_WRITERS = {
    "clip", "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2",
    "jina-bert-v3", "eurobert", "gemma-embedding", "llama-embed", "t5encoder", "wavtokenizer-dec",
    "eagle3",
}  # fmt: skip
"""Architectures of llama.cpp that write no text."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was found."""

    group: Group
    """Its files."""
    whole: bool = False
    """Whether it is no longer being copied."""
    checking: bool = False
    """Whether its checksum is being made."""
    header: Header | None = None
    """What it says of itself, where it could be read."""
    reason: str = ""
    """Why it cannot be used."""
    sha256: tuple[str, ...] = ()
    """Checksums of its files, where they were needed."""


class Cartridges:
    """Looks at the folders again and again: sticks and shares tell nobody when a file changes."""

    def __init__(
        self,
        folders: Sequence[str],
        *,
        allowed: Collection[str] = (),
        marks: Marks,
        every_s: float = _EVERY_S,
        settle_s: float = _SETTLE_S,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin with nothing known.

        Args:
            folders: paths, `*` and `?` allowed; a folder that is not there now may come.
            allowed: SHA-256 checksums, hexadecimal; when empty, every model is allowed.
            marks: checksums that were made before.
            every_s: between two looks.
            settle_s: a file that did not change for so long is whole.
            changed: called when a model came, changed or went.
        """
        self._folders = [str(Path(folder).expanduser().absolute()) for folder in folders]
        self._allowed = {mark.lower() for mark in allowed}
        self._marks = marks
        self._every_s = every_s
        self._changed = changed
        self._watch = Watch({}, settle_s=settle_s, grace_s=0)
        self._examining: dict[str, asyncio.Task[None]] = {}
        self.found: dict[str, Found] = {}
        """By the path of the first file."""

    async def run(self) -> None:
        """Look, forever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                begun = time.monotonic()
                files, work_s = await asyncio.to_thread(_measured, self._folders)
                slow_s = 2 * (time.monotonic() - begun)  # a share far away is not hurried
                for group in self._compare(files):
                    # Beside the looking: a checksum takes minutes.
                    work = self._examine(group)
                    task = tasks.create_task(work, name=f"examine {group.path}")
                    self._examining[group.path] = task
                every = self._every_s / (_EAGER if self._watch.unsettled else 1)
                await asyncio.sleep(min(max(every, slow_s, _SHARE * work_s), _LONGEST_PAUSE_S))

    def _compare(self, files: Mapping[str, Look]) -> list[Group]:
        """Take note of what is there; return what is to be examined."""
        groups = grouped(files)
        looks = {path: group.look for path, group in groups.items()}
        effects = self._watch.look(looks, time.monotonic(), time.time_ns())
        for path in effects.gone:
            self._watch.forgotten(path)
        stale = [p for p, known in self.found.items() if groups.get(p) != known.group]
        for path in stale:
            del self.found[path]
            if task := self._examining.pop(path, None):
                task.cancel()
        new = [path for path in groups if path not in self.found]
        for path in new:
            self.found[path] = Found(group=groups[path])
        if new or stale:
            self._changed()
        rested = (groups[path] for path in (*effects.take, *effects.hasty))
        return [group for group in rested if group.path not in self._examining]

    async def _examine(self, group: Group) -> None:
        """Read the header of a model that came to rest, and its checksum if need be."""
        header, reason, short = await asyncio.to_thread(_read, group)
        if short and time.time_ns() - group.look.mtime_ns < _SLOW_S * 1e9:
            self._watch.later(group.path, time.monotonic())
        else:
            found = Found(group=group, whole=True, header=header, reason=reason)
            if not reason and self._allowed:
                self._say(msgspec.structs.replace(found, checking=True))
                found = await self._allow(found)
            self._say(found)
            self._watch.taken(group.path, group.look)
        del self._examining[group.path]

    async def _allow(self, found: Found) -> Found:
        """Return a model with its checksums, and whether it is allowed."""
        try:
            marks = tuple([await self._marks.of(path) for path in found.group.parts])
        except OSError as error:
            return msgspec.structs.replace(found, reason=_unreadable(error))
        strange = not self._allowed.issuperset(marks)
        why = "its checksum is not among llm_bridge.allowed_models" if strange else ""
        return msgspec.structs.replace(found, sha256=marks, reason=why)

    def _say(self, found: Found) -> None:
        if found.reason:
            log.warning("%s: %s", found.group.path, found.reason)
        self.found[found.group.path] = found
        self._changed()


def models_in(folder: str) -> list[Found]:
    """Return the models of a folder as they are now, by their headers alone."""
    found = []
    for group in grouped(dict(_files([glob.escape(folder)]))).values():
        header, reason, _ = _read(group)
        found.append(Found(group=group, whole=True, header=header, reason=reason))
    return found


def _measured(folders: Sequence[str]) -> tuple[dict[str, Look], float]:
    """Return the files of the folders, and the processor's time that took, seconds."""
    begun = time.thread_time()
    files = dict(_files(folders))
    return files, time.thread_time() - begun


def _files(folders: Sequence[str]) -> Iterator[tuple[str, Look]]:
    """Yield the models' files in the folders and one level below, as llama-server looks for them.

    What goes away meanwhile, a stick for example, is not there.
    """
    seen = 0
    for pattern in folders:
        for folder in sorted(glob.glob(pattern)):  # noqa: PTH207  patterns are absolute paths
            for below in (folder, *_inside(folder, want_folders=True)):
                for path in _inside(below, want_folders=False):
                    try:
                        stat = os.stat(path)  # noqa: PTH116
                    except OSError:
                        continue
                    seen += 1
                    if seen > _MOST:
                        return
                    yield path, Look(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _inside(folder: str, *, want_folders: bool) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.path
                for entry in entries
                if (
                    entry.is_dir() and not entry.name.startswith(".")
                    if want_folders
                    else is_model(entry.name) and entry.is_file()
                )
            )
    except OSError:  # gone, or not ours to read: it has nothing to offer
        return []


def _read(group: Group) -> tuple[Header | None, str, bool]:
    """Return header, what is wrong, and whether that is that bytes are missing."""
    if len(group.parts) < group.wanted:
        return None, f"{len(group.parts)} of its {group.wanted} parts are there", True
    headers: list[Header] = []
    try:
        for path in group.parts:
            size = Path(path).stat().st_size
            with Path(path).open("rb", buffering=1 << 20) as file:
                header = gguf.read(file, Path(path).name)
            headers.append(header)
            if size < header.end:
                return headers[0], f"it has {size} of {header.end} bytes: copy it anew", True
    except Rejected as error:
        return None, f"broken: {error.reason}", isinstance(error, gguf.EndsEarly)
    except OSError as error:
        return None, _unreadable(error), False
    return headers[0], _unusable(headers[0], group), False


def _unusable(header: Header, group: Group) -> str:
    """Return why nothing can be written with a model; empty where it can."""
    if header.kind in _ODD_KINDS:
        return f"it is no model but a part of one ({header.kind})"
    if not header.architecture or not header.layers:
        return "broken: it does not say what model it is"
    if header.architecture in _NO_WRITERS:
        return f"a model of the kind {header.architecture} writes no text"
    if not header.vocabulary:
        return "broken: it has no vocabulary"
    if header.parts != group.wanted:
        return f"it is one of {header.parts} parts, and its name does not say so"
    return ""


def _unreadable(error: OSError) -> str:
    return f"it cannot be read: {error.strerror}"
