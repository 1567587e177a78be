"""What an answer says beside its passages."""

from __future__ import annotations

import pytest

from schemas.answers import Timings
from schemas.retrieval import Found
from services.orchestrator.plain import of_passages
from services.orchestrator.records import Work

pytestmark = pytest.mark.unit


def work(*, lang: str = "en", place: str = "ask/desk", asset: str | None = None) -> Work:
    return Work(
        answer_id="a",
        place=place,
        asset=asset,
        code="",
        question="E005",
        priority="warning",
        trace="",
        first_seen="2025-01-01T00:00:00Z",
        last_seen="2025-01-01T00:00:00Z",
        lang=lang,  # type: ignore[arg-type]
    )


def test_manuals_that_are_still_being_read_are_told() -> None:
    found = Found(hits=[], codes=["E005"], unknown_codes=["E005"], reading=3)
    assert "still being read (3)" in of_passages(work(), found, Timings()).note
    assert "正在读取（3 份）" in of_passages(work(lang="zh"), found, Timings()).note
    read = Found(hits=[], codes=["E005"], unknown_codes=["E005"])
    assert "read" not in of_passages(work(), read, Timings()).note


def test_a_machine_no_document_knows_is_told_to_who_asked_for_it() -> None:
    found = Found(hits=[], nobody=["asset"], known=["hall/drive"])
    note = of_passages(work(asset="hall/drvie"), found, Timings()).note
    assert "assigned to hall/drvie: all manuals were searched. Known: hall/drive." in note
    fault = work(place="hall/drvie", asset="hall/drvie")
    assert "assigned" not in of_passages(fault, found, Timings()).note


def test_a_strange_makers_code_goes_without_its_name() -> None:
    found = Found(hits=[], codes=["Zentrix E33"], unknown_codes=["Zentrix E33"])
    answer = of_passages(work(), found, Timings())
    assert (answer.code, answer.summary) == ("E33", "No manual of Zentrix is loaded.")
