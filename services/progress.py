"""How far a document is, for a person: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from schemas.knowledge import DocumentState

WIDTH = 24
"""Characters of a bar."""
LINE_EVERY_S = 10.0
"""Seconds between two lines about the same step, where there is no terminal."""


def step(state: DocumentState) -> str:
    """Return what is being done, in a word or two."""
    if state.state != "indexing":
        return state.state
    if state.passages_done < state.passages:
        return "indexing"
    return "vectors"


def counted(state: DocumentState) -> tuple[int, int, str]:
    """Return how much of this step is done, of how much (0 while unknown), and of what."""
    match step(state):
        case "vectors":
            return state.vectors_done, state.passages, "vectors"
        case "indexing":
            return state.passages_done, state.passages, "passages"
        case _:
            return state.pages_done, state.pages or 0, "pages"


def duration(seconds: float) -> str:
    """Return a time as people say it: `8 s`, `2 min`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def sentence(state: DocumentState) -> str:
    """Return the state in one line, without a bar."""
    done, total, unit = counted(state)
    parts = [f"{done}/{total} {unit}" if total else ""]
    if state.seconds_left:
        parts.append(f"{duration(state.seconds_left)} left")
    if state.searchable and state.state != "ready":
        parts.append("can be searched")
    return ", ".join(filter(None, parts))


def bar(state: DocumentState) -> str:
    """Return the line with a bar."""
    done, total, _ = counted(state)
    filled = "#" * int(WIDTH * min(1.0, done / total) if total else 0)
    return f"{state.file[-32:]:<32} {step(state):<9}[{filled:<{WIDTH}}] {sentence(state)}"


class Meter:
    """Shows one document after the other."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Show on `out`; `clock` gives seconds."""
        self._out = out
        self._clock = clock
        self._bar = out.isatty()
        self._said: tuple[str, str, bool] | None = None
        self._at = 0.0

    def show(self, state: DocumentState) -> None:
        """Show how far a document is."""
        if self._bar:
            self._out.write(f"\r\033[K{bar(state)}")
            self._out.flush()
            return
        about = (state.doc_id, step(state), state.searchable)
        now = self._clock()
        if about != self._said or now - self._at >= LINE_EVERY_S:
            self._said, self._at = about, now
            self._out.write(
                f"{state.file}: {', '.join(filter(None, (about[1], sentence(state))))}\n"
            )
            self._out.flush()

    def clear(self) -> None:
        """Make room for a line that stays."""
        if self._bar:
            self._out.write("\r\033[K")
            self._out.flush()
