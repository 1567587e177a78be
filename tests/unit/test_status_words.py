from __future__ import annotations

import pytest

from services.status_words import by_asset, said

pytestmark = pytest.mark.unit

IDLE = {
    "model": "tiny",
    "note": "",
    "slots": 2,
    "in_flight": 0,
    "queued": 0,
    "queued_critical": 0,
    "queued_advice": 0,
    "order": "",
    "waiting_s": 0.0,
    "waited_ms": 0.0,
    "breaker": "closed",
}


def test_facts_are_said_as_they_come_without_empty_ones() -> None:
    assert list(said({"passages": 7, "note": "", "slots": 3})) == ["passages 7", "slots 3"]


def test_a_change_of_the_embedding_model_is_said_in_words() -> None:
    facts = {"passages": 7, "embedding_change": "4,200 of 10,000"}
    told = ["passages 7", "embedding model changes: 4,200 of 10,000 passages"]
    assert list(said(facts)) == told
    assert list(said({"passages": 7, "embedding_change": ""})) == ["passages 7"]


def test_a_queue_is_said_in_words() -> None:
    assert list(said(IDLE)) == ["model tiny", "0 of 2 slots at work", "breaker closed"]
    busy = {
        **IDLE,
        "in_flight": 2,
        "queued": 3,
        "queued_critical": 1,
        "queued_advice": 2,
        "order": "critical 0.2 s, advice 9.1 s, advice 4.0 s",
        "waiting_s": 9.1,
        "waited_ms": 812.5,
    }
    assert list(said(busy)) == [
        "model tiny",
        "2 of 2 slots at work",
        "3 waiting (1 critical, 2 advice)",
        "the oldest for 9.1 s; next: critical 0.2 s, advice 9.1 s, advice 4.0 s",
        "half of the latest waited less than 812.5 ms",
        "breaker closed",
    ]


def test_a_preparation_that_was_cut_off_is_nobody_who_waits() -> None:
    alone = {**IDLE, "queued": 1, "queued_background": 1, "order": "background 90.0 s"}
    assert list(said(alone)) == [
        "model tiny",
        "0 of 2 slots at work",
        "a preparation waits its turn",
        "breaker closed",
    ]
    both = {**alone, "queued": 2, "queued_advice": 1, "order": "advice 1.0 s, background 90.0 s"}
    assert list(said(both))[2:5] == [
        "1 waiting (1 advice)",
        "next: advice 1.0 s, background 90.0 s",
        "a preparation waits its turn",
    ]


def test_preparations_are_one_line_and_each_machine_where_it_is_asked_for() -> None:
    facts = {
        "preparing": "",
        "prepared": 330,
        "prepared_of": 412,
        "to_prepare": 15,
        "not_grounded": 7,
        "in_no_manual": 60,
        "prepared plant/m1": "33 of 41, 2 not grounded",
        "prepared plant/m2": "41 of 41",
        "jobs_open": 0,
    }
    assert list(said(facts)) == [
        "prepared 330 of 412 codes (15 to do, 7 not grounded, 60 in no manual)",
        "jobs_open 0",
    ]
    assert list(by_asset(facts)) == [
        "plant/m1: prepared 33 of 41, 2 not grounded",
        "plant/m2: prepared 41 of 41",
    ]
    done = {**facts, "prepared": 412, "to_prepare": 0, "not_grounded": 0, "in_no_manual": 0}
    assert next(said(done)) == "prepared 412 of 412 codes"
    assert list(said({**done, "prepared_in": "en"})) == [next(said(done)), "jobs_open 0"]
    both = next(said({**done, "prepared_in": "en, zh"}))
    assert both == "prepared 412 of 412 codes in en, zh"


def test_what_is_for_programs_is_not_said() -> None:
    assert list(said({"model": "phi", "identity": "0123"})) == ["model phi"]
