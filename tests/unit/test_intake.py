"""What arrives becomes ledger entries; what cannot is recorded with the reason."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RejectedEvent
from services.orchestrator.intake import Intake, trace_of
from services.orchestrator.ledger import Entry, Refusal
from services.runtime.config import Config, Orchestrator, Trigger
from services.runtime.messages import Delivery, Properties

pytestmark = pytest.mark.unit

NOW = "2026-01-31T12:00:00.000Z"
PUBLIC = ["plant/motor7/fault", "andon/ask/scanner3", "andon/feedback/a1"]


def delivery(topic: str, payload: Any, *, retain: bool = False, **properties: Any) -> Delivery:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Delivery(
        topic=topic,
        payload=raw,
        qos=1,
        retain=retain,
        duplicate=False,
        properties=Properties(**properties),
    )


def intake(**settings: Any) -> Intake:
    return Intake(Config(orchestrator=Orchestrator(**settings)), {})


def entries(got: list[Entry] | Refusal) -> list[Entry]:
    assert isinstance(got, list), got
    return got


def test_repeated_reports_are_one_alarm_that_counts() -> None:
    door = intake()
    works = []
    for _ in range(3):
        [entry] = entries(door.read(delivery(PUBLIC[0], {"code": "E005"}), NOW))
        works.append(entry.work)
    assert [w.occurrences for w in works if w] == [1, 2, 3]
    assert entry.alarm is not None
    asset, alarm = entry.alarm
    assert (asset, alarm.state, alarm.occurrences) == ("plant/motor7", "active", 3)
    assert entry.outgoing[0].topic == "andon/alarm/plant/motor7"
    assert entry.outgoing[0].retain


def test_a_clear_without_a_code_clears_all_that_stands_on_the_asset() -> None:
    door = intake()
    for code in ("E1", "E2"):
        door.read(delivery(PUBLIC[0], {"code": code}), NOW)
    door.read(delivery("plant/motor8/fault", {"code": "E1"}), NOW)
    got = entries(door.read(delivery(PUBLIC[0], b"0"), NOW))
    assert sorted(e.alarm[1].code for e in got if e.alarm) == ["E1", "E2"]
    assert all(e.alarm and e.alarm[1].state == "cleared" and e.work is None for e in got)
    again = entries(door.read(delivery(PUBLIC[0], {"code": "E1"}), NOW))
    assert again[0].work is not None
    assert again[0].work.occurrences == 1


def test_a_retained_fault_repeated_by_the_broker_is_not_counted_again() -> None:
    door = intake()
    assert entries(door.read(delivery(PUBLIC[0], {"code": "E1"}, retain=True), NOW))
    assert entries(door.read(delivery(PUBLIC[0], {"code": "E1"}, retain=True), NOW)) == []


def test_a_failed_commit_forgets_what_it_counted() -> None:
    door = intake()
    door.read(delivery(PUBLIC[0], {"code": "E1"}), NOW)
    door.restore({})
    [entry] = entries(door.read(delivery(PUBLIC[0], {"code": "E1"}), NOW))
    assert entry.work is not None
    assert entry.work.occurrences == 1


def test_questions_in_text_and_json() -> None:
    door = intake()
    [plain] = entries(door.read(delivery(PUBLIC[1], "变频器报E005错误怎么办?".encode()), NOW))
    assert plain.work is not None
    assert (plain.work.place, plain.work.lang, plain.work.asset) == ("ask/scanner3", "zh", None)
    body = {
        "id": "q1",
        "question": "why?",
        "asset": "plant/motor7",
        "lang": "zh",
        "answer_to": "my/t",
    }
    [full] = entries(door.read(delivery(PUBLIC[1], body), NOW))
    assert full.work is not None
    assert (full.work.answer_id, full.work.asset, full.work.lang) == ("q1", "plant/motor7", "zh")
    assert [c.topic for c in full.work.copies] == ["my/t"]


def test_an_mqtt5_asker_gets_its_correlation_data_back() -> None:
    sent = delivery(PUBLIC[1], b"why?", response_topic="scanner3/in", correlation=b"\x00\x07")
    [entry] = entries(intake().read(sent, NOW))
    assert entry.work is not None
    [copy] = entry.work.copies
    assert (copy.topic, copy.correlation) == ("scanner3/in", b"\x00\x07")


@pytest.mark.parametrize(
    "topic",
    [
        "andon/rpc/retriever/remove",
        "andon/answer/plant/motor7",
        "andon/status/retriever",
        "$SYS/x",
        "a/+/b",
        "plant/motor7/fault",
        "x" * 2000,
        "me\x01x",
        "me\x85x",
        "/" * 250,
        "a\nb",
        "\ufdd0",
    ],
)
def test_nobody_can_have_us_publish_where_they_may_not(topic: str) -> None:
    door = intake()
    by_property = door.read(delivery(PUBLIC[1], b"why?", response_topic=topic), NOW)
    assert isinstance(by_property, Refusal)
    body = {"question": "why?", "answer_to": topic}
    assert isinstance(door.read(delivery(PUBLIC[1], body), NOW), Refusal)


def test_a_trigger_as_wide_as_all_topics_does_not_answer_our_own_words() -> None:
    door = intake(triggers=(Trigger(topic="#"),))
    assert door.read(delivery("andon/answer/plant/motor7", {"code": "E1"}), NOW) == []
    assert entries(door.read(delivery("andon/ask/x", b"why?"), NOW))[0].work is not None


def test_oversized_and_wrong_shapes_are_recorded_with_their_head() -> None:
    door = intake()
    big = door.read(delivery(PUBLIC[0], b"x" * 65_537), NOW)
    assert isinstance(big, Refusal)
    assert "65537 bytes, at most 65536" in big.event.reason
    assert (len(big.event.head), big.event.size) == (256, 65_537)
    wrong = door.read(delivery(PUBLIC[1], {"question": 3}), NOW)
    assert isinstance(wrong, Refusal)
    assert "$.question" in wrong.event.reason
    binary = door.read(delivery(PUBLIC[0], b"\xff\xfe"), NOW)
    assert isinstance(binary, Refusal)
    assert binary.event.head == "\\xff\\xfe"


def test_trace_ids_are_carried_or_made() -> None:
    given_one = delivery("t", b"", user=(("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"),))
    assert trace_of(given_one) == "a" * 32
    assert len(trace_of(delivery("t", b"", user=(("traceparent", "nonsense"),)))) == 32


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["question", "id", "asset", "lang", "answer_to", "helpful", "code"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def test_nesting_without_end_is_a_reason_and_no_crash() -> None:
    for topic in PUBLIC:
        for payload in (b"[" * 100_000, b'{"question":' * 50_000, b'{"a":' * 50_000):
            got = intake(max_payload_kb=1000).read(delivery(topic, payload), NOW)
            assert isinstance(got, Refusal)


@pytest.mark.parametrize("topic", ["andon/ask", "andon/ask/", "andon/feedback/"])
def test_a_topic_without_its_last_level_is_recorded(topic: str) -> None:
    got = intake().read(delivery(topic, b"why?"), NOW)
    assert isinstance(got, Refusal)
    assert "last level" in got.event.reason


def test_a_byte_order_mark_does_not_hide_the_json() -> None:
    sent = delivery(PUBLIC[1], b'\xef\xbb\xbf{"question": "why?"}')
    [entry] = entries(intake().read(sent, NOW))
    assert entry.work is not None
    assert entry.work.question == "why?"


def test_a_scanner_whose_question_cannot_be_read_is_told() -> None:
    got = intake().read(delivery(PUBLIC[1], {"frage": "warum?"}), NOW)
    assert isinstance(got, Refusal)
    answer, display = got.outgoing
    assert answer.topic == "andon/answer/ask/scanner3"
    assert b"missing required field `question`" in answer.payload
    assert b"could not be read" in display.payload
    assert intake().read(delivery(PUBLIC[0], b"\xff"), NOW).outgoing == ()  # type: ignore[union-attr]


def test_answer_topics_can_be_narrowed() -> None:
    door = intake(answer_topics=("+/answers",))
    sent = delivery(PUBLIC[1], b"why?", response_topic="plant/motor7/cmd/stop")
    assert isinstance(door.read(sent, NOW), Refusal)
    [entry] = entries(door.read(delivery(PUBLIC[1], b"why?", response_topic="s/answers"), NOW))
    assert entry.work is not None
    assert [copy.topic for copy in entry.work.copies] == ["s/answers"]


@given(
    topic=st.sampled_from([*PUBLIC, "andon/ask/", "andon/ask", "plant//fault", "andon/feedback/"]),
    payload=st.binary(max_size=300) | json_values.map(msgspec.json.encode),
    retain=st.booleans(),
)
def test_any_payload_on_any_public_topic_is_taken_or_recorded(
    topic: str, payload: bytes, retain: bool
) -> None:
    got = intake().read(delivery(topic, payload, retain=retain), NOW)
    if isinstance(got, Refusal):
        assert got.event.reason
        assert got.event.topic == topic
        msgspec.json.decode(msgspec.json.encode(got.event), type=RejectedEvent)
    else:
        assert all(isinstance(entry, Entry) for entry in got)
