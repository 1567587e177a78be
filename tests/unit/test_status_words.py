from __future__ import annotations

import pytest

from services.status_words import said

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
        "the oldest for 9.1 s (next: critical 0.2 s, advice 9.1 s, advice 4.0 s)",
        "half of the latest waited less than 812.5 ms",
        "breaker closed",
    ]
