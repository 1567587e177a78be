"""What a reader is told of how an answer came about."""

from __future__ import annotations

import re

import pytest

from services.orchestrator.notes import model_failed, note
from services.runtime.errors import KINDS, AndonError, Ended

pytestmark = pytest.mark.unit

_LATIN = re.compile(r"[A-Za-z]{2,}")


@pytest.mark.parametrize("kind", [*KINDS.values(), Ended, AndonError])
def test_who_reads_chinese_is_told_why_in_chinese(kind: type[AndonError]) -> None:
    error = kind("ask the language model", "error 500: no room", "look at its log")
    assert "error 500: no room" in model_failed("en", error)
    chinese = model_failed("zh", error)
    assert not _LATIN.search(chinese), chinese
    assert chinese != model_failed("zh")


def test_what_is_ours_is_said_in_both() -> None:
    assert "an internal error" in model_failed("en")
    assert not _LATIN.search(model_failed("zh"))


def test_a_question_that_cannot_be_read_has_no_english_reason_in_chinese() -> None:
    said = note("unreadable", "zh").format(reason="JSON is malformed")
    assert "malformed" not in said
    assert "malformed" in note("unreadable", "en").format(reason="JSON is malformed")
