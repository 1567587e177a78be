"""Originals that are missing, and those nobody needs."""

from __future__ import annotations

import pytest

from services.ingest.attic import GRACE_S, PART_GRACE_S, sort_out, younger

pytestmark = pytest.mark.unit

A, B, C = "a" * 64, "b" * 64, "c" * 64
BORN, NOW = 1000.0, 1001.0 + 2 * GRACE_S


def test_what_is_needed_and_not_there_is_missing() -> None:
    found = sort_out({A: BORN}, [A, B, ""], [], born=BORN, now=NOW)
    assert (found.missing, found.orphans) == ((B,), ())


def test_what_nobody_needs_goes_after_a_while() -> None:
    there = {A: BORN + 1, B: NOW - GRACE_S / 2, C: BORN + 1}
    assert sort_out(there, [], [C], born=BORN, now=NOW).orphans == (A,)


def test_what_was_there_before_the_library_stays() -> None:
    assert sort_out({A: BORN - 1}, [], [], born=BORN, now=NOW).orphans == ()


def test_copies_that_were_never_finished_go_sooner_and_other_files_never() -> None:
    there = {".new-x": NOW - PART_GRACE_S - 1, ".new-y": NOW - 1, "README": BORN + 1}
    assert sort_out(there, [], [], born=BORN, now=NOW).orphans == (".new-x",)


def test_while_a_revision_does_not_know_its_original_none_goes() -> None:
    there = {A: BORN + 1, ".new-x": BORN + 1}
    assert sort_out(there, [], [], born=BORN, now=NOW, certain=False).orphans == (".new-x",)


def test_an_original_younger_than_the_library_tells_of_a_backup_put_back() -> None:
    assert younger({A: 5.0}, [], [], 4.0)
    assert not younger({A: 3.0}, [], [], 4.0)
    assert not younger({A: 5.0, B: 5.0, ".new-x": 5.0}, [A], [B], 4.0)
