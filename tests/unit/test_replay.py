"""Recorded lines: what each means, when it is due, and what is wrong with the wrong ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.replay import Message, Reject, Timing, parse, read, record
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit

AT = "2026-01-31T12:00:00.000Z"
SECONDS = 1769860800.0


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("given_", "payload"),
    [
        (b'{"at": 1.5, "topic": "a/b", "payload": {"code" : "E1"}}', b'{"code" : "E1"}'),
        (b'{"at": 1.5, "topic": "a/b", "payload": "E\\u00e9"}', "Eé".encode()),
        (b'{"at": 1.5, "topic": "a/b", "payload": ""}', b""),
        (b'{"at": 1.5, "topic": "a/b", "payload": 5}', b"5"),
        (b'{"at": 1.5, "topic": "a/b", "payload": null}', b"null"),
        (b'{"at": 1.5, "topic": "a/b", "payload_base64": "/wA="}', b"\xff\x00"),
        (
            b'{"at": 1.5, "topic": "a/b", "payload": 123456789012345678901234567890}',
            b"123456789012345678901234567890",
        ),
    ],
)
def test_a_payload_is_what_it_was(given_: bytes, payload: bytes) -> None:
    assert parse(given_) == Message(1.5, "a/b", payload)


@pytest.mark.parametrize(
    "at", [AT, "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00", 1769860800, 1769860800.0]
)
def test_times_in_every_form(at: object) -> None:
    assert parse(line(at=at, topic="t", payload="x")) == Message(SECONDS, "t", b"x")


def test_the_ledgers_history_gives_its_faults() -> None:
    event = {"table": "event", "kind": "fault", "id": 1, "topic": "plant/m/fault", "received": AT}
    assert parse(line(**event, payload="E5", body={})) == Message(SECONDS, "plant/m/fault", b"E5")
    assert parse(line(**event, payload="", body={})) == Message(SECONDS, "plant/m/fault", b"")
    passed = [
        line(**event, body={"code": "second of one message"}),
        line(**{**event, "kind": "ask"}, payload="x"),
        line(table="job", id=1),
        b"",
        b"\n",
    ]
    assert [parse(one) for one in passed] == [None] * 5


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        (b"plant/m E5", "not a JSON object"),
        (b"[1]", "not a JSON object: Expected `object`"),
        (b"\xff", "not a JSON object"),
        (line(topic="t", payload="x"), "`at` is missing; allowed: RFC 3339 or seconds"),
        (line(at="noon", topic="t", payload="x"), "`at` is noon"),
        (line(at=True, topic="t", payload="x"), "`at` is True"),
        (line(at=10**400, topic="t", payload="x"), "`at` is"),
        (line(at=1, payload="x"), "`topic` is missing"),
        (line(at=1, topic="", payload="x"), "`topic` is ; allowed"),
        (line(at=1, topic="plant/+/fault", payload="x"), "wildcards|has \\+, # or NUL"),
        (line(at=1, topic="x" * 70_000, payload="x"), "longer than 65535"),
        (line(at=1, topic="t"), "`payload` is missing"),
        (line(at=1, topic="t", payload_base64="?"), "`payload_base64`"),
        (line(at=1, topic="t", payload_base64=5), "`payload_base64`"),
        (line(table="event", kind="fault", topic="t", payload="x"), "`received` is missing"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(given_: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        parse(given_)


def test_wrong_lines_are_counted_and_do_not_stop_the_others() -> None:
    good = line(at=1, topic="t", payload="x")
    found = list(read([good, b"?", b"", good]))
    assert found[0] == found[3] == Message(1.0, "t", b"x")
    assert isinstance(found[1], Reject)
    assert found[1].line == 2
    assert found[2] is None


TOPICS = st.text(min_size=1, max_size=50).filter(
    lambda t: not set(t) & set("+#\0") and t.isprintable()
)


@given(topic=TOPICS, payload=st.binary() | st.text().map(str.encode))
def test_what_is_recorded_comes_back_byte_for_byte(topic: str, payload: bytes) -> None:
    written = record(topic, payload, AT)
    assert written.count(b"\n") == 1
    assert parse(written) == Message(SECONDS, topic, payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.binary()
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("at", "topic", "payload", "payload_base64", "table", "kind", "received"), JSON
        ),
    ).map(lambda fields: json.dumps(fields).encode())
)
def test_any_line_is_a_message_or_rejected(given_: bytes) -> None:
    [found] = read([given_])
    assert found is None or isinstance(found, Message | Reject)


@given(
    times=st.lists(st.floats(0, 1e9), min_size=1),
    speed=st.floats(0.001, 1e6),
)
def test_due_times_never_go_back_and_are_the_recorded_ones_divided(
    times: list[float], speed: float
) -> None:
    timing = Timing(speed)
    due = [timing.due(at) for at in times]
    assert due[0] == 0
    assert due == sorted(due)
    furthest = max(0.0, max(times) - times[0]) / speed
    assert due[-1] == pytest.approx(furthest)


def test_speed_zero_waits_for_nothing() -> None:
    timing = Timing(0)
    assert [timing.due(at) for at in (5.0, 100.0, 7.0)] == [0, 0, 0]
