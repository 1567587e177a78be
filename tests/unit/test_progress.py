"""Progress of a document as a person sees it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from schemas.knowledge import DocumentState
from services.progress import LINE_EVERY_S, Meter, bar, sentence

pytestmark = pytest.mark.unit


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def state(**changes: Any) -> DocumentState:
    known: dict[str, Any] = {
        "doc_id": "a", "title": "A", "file": "a.pdf", "state": "reading", "revision": 1,
        "updated": "",
    }  # fmt: skip
    return DocumentState(**(known | changes))


READING = state(pages=820, pages_done=205, seconds_left=9.4)
VECTORS = state(
    state="indexing", searchable=True, pages=820, passages=4000, passages_done=4000,
    vectors_done=1000, seconds_left=130.0,
)  # fmt: skip


def test_each_step_counts_its_own() -> None:
    assert sentence(READING) == "205/820 pages, 9 s left"
    assert sentence(VECTORS) == "1000/4000 vectors, 2 min left, can be searched"
    assert sentence(state(state="indexing", passages=50, passages_done=5)) == "5/50 passages"
    assert sentence(state(state="queued")) == ""


def test_a_bar_is_as_full_as_the_step() -> None:
    assert f"[{'#' * 6}{' ' * 18}]" in bar(READING)
    assert f"[{'#' * 24}]" in bar(state(pages=2, pages_done=3))
    assert f"[{' ' * 24}]" in bar(state(state="queued"))


def test_a_terminal_has_one_line_that_changes() -> None:
    out = Terminal()
    meter = Meter(out)
    for one in (READING, VECTORS):
        meter.show(one)
    meter.clear()
    assert out.getvalue().count("\r\033[K") == 3
    assert "\n" not in out.getvalue()


def test_elsewhere_a_line_comes_with_each_step_and_now_and_then() -> None:
    out, now = io.StringIO(), [0.0]
    meter = Meter(out, lambda: now[0])
    for one, later in ((READING, 0.0), (READING, 1.0), (READING, LINE_EVERY_S), (VECTORS, 0.1)):
        now[0] += later
        meter.show(one)
    meter.clear()
    assert out.getvalue().splitlines() == [
        "a.pdf: reading, 205/820 pages, 9 s left",
        "a.pdf: reading, 205/820 pages, 9 s left",
        "a.pdf: vectors, 1000/4000 vectors, 2 min left, can be searched",
    ]
