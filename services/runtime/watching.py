"""Which files of a watched folder are new, changed, complete or gone (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

PATIENCE = 20
"""A file that never comes to rest delays what was deleted for so many times the grace."""


@dataclass(frozen=True, slots=True)
class Look:
    """A file as it was seen."""

    size: int
    """Bytes."""
    mtime_ns: int
    """When it was last written, by the clock of whoever wrote it."""
    ctime_ns: int = 0
    """When that or its permissions last changed; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What a look at the folder comes to."""

    take: tuple[str, ...] = ()
    """Complete files that are new or not as they were."""
    hasty: tuple[str, ...] = ()
    """Those of them that were seen for the first time, and were last written some time ago: they
    were moved in whole, unless somebody is writing still."""
    gone: tuple[str, ...] = ()
    """Files that were deleted."""


class Watch:
    """Follows the files of a folder over time; knows no clock and no disk."""

    def __init__(self, known: Mapping[str, Look], *, settle_s: float, grace_s: float) -> None:
        """Begin.

        Args:
            known: files that were dealt with, as they were then.
            settle_s: a file that did not change for so long is complete.
            grace_s: a file that is missing for so long was deleted; an empty one is meant so.
        """
        self._known = dict(known)
        self._settle_s = settle_s
        self._grace_s = grace_s
        self._seen: dict[str, tuple[Look, float]] = {}
        self._missing: dict[str, float] = {}

    @property
    def missing(self) -> Collection[str]:
        """Return known files that are not there now."""
        return self._missing.keys()

    @property
    def unsettled(self) -> bool:
        """Return whether a file is waited for."""
        return bool(self._seen)

    def look(self, files: Mapping[str, Look], now: float, clock_ns: int) -> Effects:
        """Take note of what is there.

        Args:
            files: every file by its path.
            now: seconds, from anywhere.
            clock_ns: the time of day that `mtime_ns` is of.
        """
        take: list[str] = []
        hasty: list[str] = []
        for path, look in files.items():
            if self._known.get(path) == look:
                self._seen.pop(path, None)
                continue
            before = self._seen.get(path)
            if before is None or before[0] != look:
                self._seen[path] = (look, now)
                if before is None and look.size and self._old(look, clock_ns):
                    hasty.append(path)
            elif now - before[1] >= (self._settle_s if look.size else self._grace_s):
                take.append(path)
        for path in [path for path in self._seen if path not in files]:
            del self._seen[path]
        self._missing = {
            path: self._missing.get(path, now) for path in self._known if path not in files
        }
        wait = self._grace_s * (PATIENCE if self._seen else 1)
        gone = [path for path, since in self._missing.items() if now - since >= wait]
        return Effects(tuple(take), tuple(hasty), tuple(gone))

    def taken(self, path: str, look: Look) -> None:
        """Note that a file was dealt with, as it was then."""
        self._known[path] = look
        self._seen.pop(path, None)

    def forgotten(self, path: str) -> None:
        """Note that a file that is gone was dealt with."""
        self._known.pop(path, None)
        self._missing.pop(path, None)

    def later(self, path: str, now: float, pause_s: float = 0.0) -> None:
        """Wait for a file as if it had just changed, or longer."""
        if path in self._seen:
            self._seen[path] = (self._seen[path][0], now + pause_s)

    def _old(self, look: Look, clock_ns: int) -> bool:
        return clock_ns - look.mtime_ns >= self._settle_s * 1e9
