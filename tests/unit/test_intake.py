"""What arrives becomes ledger entries; what cannot is recorded with the reason."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RejectedEvent
from services.orchestrator.board import Board
from services.orchestrator.intake import Intake, trace_of
from services.orchestrator.records import Entry, Refusal
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


class Door(Intake):
    """An intake at one moment of simulated time."""

    at = 1000.0

    def hears(self, sent: Delivery) -> list[Entry] | Refusal:
        self.at += 1.0
        return self.read(sent, NOW, self.at)


def intake(**settings: Any) -> Door:
    orchestrator = Orchestrator(**settings)
    return Door(Config(orchestrator=orchestrator), Board(orchestrator.alarms))


def entries(got: list[Entry] | Refusal) -> list[Entry]:
    assert isinstance(got, list), got
    return got


def test_repeated_reports_are_one_alarm_and_one_answer() -> None:
    door = intake()
    first, second, third = (
        entries(door.hears(delivery(PUBLIC[0], {"code": "E005"})))[0].deeds for _ in range(3)
    )
    assert first is not None
    assert second is not None
    assert third is not None
    [(work, front)] = first.works
    assert (work.place, work.code, work.occurrences, front) == ("plant/motor7", "E005", 1, False)
    assert not second.works
    [again] = third.again
    assert (again.answer_id, again.alarm.occurrences) == (work.answer_id, 3)
    assert [m.topic for m in third.outgoing] == ["andon/alarm/plant/motor7"]
    assert third.outgoing[0].retain


def test_a_clear_without_a_code_clears_all_that_stands_on_the_asset() -> None:
    door = intake()
    for code in ("E1", "E2"):
        door.hears(delivery(PUBLIC[0], {"code": code}))
    door.hears(delivery("plant/motor8/fault", {"code": "E1"}))
    [entry] = entries(door.hears(delivery(PUBLIC[0], b"0")))
    assert entry.deeds
    assert not entry.deeds.works
    told = [msgspec.json.decode(m.payload) for m in entry.deeds.outgoing]
    assert {(a["code"], a["state"]) for a in told} == {("E1", "cleared"), ("E2", "cleared")}
    door.at += 100.0  # sooner it would be chatter
    [again] = entries(door.hears(delivery(PUBLIC[0], {"code": "E1"})))
    assert again.deeds
    assert [work.occurrences for work, _ in again.deeds.works] == [1]


def test_a_retained_fault_repeated_by_the_broker_is_not_counted_again() -> None:
    door = intake()
    assert entries(door.hears(delivery(PUBLIC[0], {"code": "E1"}, retain=True)))
    assert entries(door.hears(delivery(PUBLIC[0], {"code": "E1"}, retain=True))) == []


def test_a_failed_commit_forgets_what_it_counted() -> None:
    door = intake()
    door.hears(delivery(PUBLIC[0], {"code": "E1"}))
    door.restore()
    [entry] = entries(door.hears(delivery(PUBLIC[0], {"code": "E1"})))
    assert entry.deeds
    assert [work.occurrences for work, _ in entry.deeds.works] == [1]


def test_the_first_out_of_a_flood_goes_to_the_front_and_the_flood_is_told() -> None:
    door = intake()
    done = [
        entries(door.hears(delivery(f"plant/m{n}/fault", {"code": "E1"})))[0].deeds
        for n in range(12)
    ]
    fronts = [front for one in done if one for front in one.fronts]
    assert [place for place, _ in fronts] == ["plant/m0"]
    floods = [m for one in done if one for m in one.outgoing if m.topic == "andon/flood/plant"]
    assert b'"active":true' in floods[0].payload
    assert b"plant/m0 E1" in floods[0].payload


def test_a_cleared_asset_s_answer_is_taken_back_after_a_while() -> None:
    door = intake()
    door.hears(delivery(PUBLIC[0], {"code": "E1"}))
    door.hears(delivery(PUBLIC[0], {"code": "E1", "state": "cleared"}))
    assert door.tick(door.at + 299) is None
    due = door.tick(door.at + 301)
    assert due
    taken = {m.topic for m in due.outgoing if m.payload == b"" and m.retain}
    assert taken == {"andon/answer/plant/motor7", "andon/display/plant/motor7"}


def test_questions_in_text_and_json() -> None:
    door = intake()
    [plain] = entries(door.hears(delivery(PUBLIC[1], "变频器报E005错误怎么办?".encode())))
    assert plain.work is not None
    assert (plain.work.place, plain.work.lang, plain.work.asset) == ("ask/scanner3", "zh", None)
    body = {
        "id": "q1",
        "question": "why?",
        "asset": "plant/motor7",
        "lang": "zh",
        "answer_to": "my/t",
    }
    [full] = entries(door.hears(delivery(PUBLIC[1], body)))
    assert full.work is not None
    assert (full.work.answer_id, full.work.asset, full.work.lang) == ("q1", "plant/motor7", "zh")
    assert [c.topic for c in full.work.copies] == ["my/t"]


def test_an_mqtt5_asker_gets_its_correlation_data_back() -> None:
    sent = delivery(PUBLIC[1], b"why?", response_topic="scanner3/in", correlation=b"\x00\x07")
    [entry] = entries(intake().hears(sent))
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
    by_property = door.hears(delivery(PUBLIC[1], b"why?", response_topic=topic))
    assert isinstance(by_property, Refusal)
    body = {"question": "why?", "answer_to": topic}
    assert isinstance(door.hears(delivery(PUBLIC[1], body)), Refusal)


def test_a_trigger_as_wide_as_all_topics_does_not_answer_our_own_words() -> None:
    door = intake(triggers=(Trigger(topic="#"),))
    assert door.hears(delivery("andon/answer/plant/motor7", {"code": "E1"})) == []
    assert entries(door.hears(delivery("andon/ask/x", b"why?")))[0].work is not None


def test_oversized_and_wrong_shapes_are_recorded_with_their_head() -> None:
    door = intake()
    big = door.hears(delivery(PUBLIC[0], b"x" * 65_537))
    assert isinstance(big, Refusal)
    assert "65537 bytes, at most 65536" in big.event.reason
    assert (len(big.event.head), big.event.size) == (256, 65_537)
    wrong = door.hears(delivery(PUBLIC[1], {"question": 3}))
    assert isinstance(wrong, Refusal)
    assert "$.question" in wrong.event.reason
    binary = door.hears(delivery(PUBLIC[0], b"\xff\xfe"))
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
            got = intake(max_payload_kb=1000).hears(delivery(topic, payload))
            assert isinstance(got, Refusal)


@pytest.mark.parametrize("topic", ["andon/ask", "andon/ask/", "andon/feedback/"])
def test_a_topic_without_its_last_level_is_recorded(topic: str) -> None:
    got = intake().hears(delivery(topic, b"why?"))
    assert isinstance(got, Refusal)
    assert "last level" in got.event.reason


def test_a_byte_order_mark_does_not_hide_the_json() -> None:
    sent = delivery(PUBLIC[1], b'\xef\xbb\xbf{"question": "why?"}')
    [entry] = entries(intake().hears(sent))
    assert entry.work is not None
    assert entry.work.question == "why?"


def test_a_scanner_whose_question_cannot_be_read_is_told() -> None:
    got = intake().hears(delivery(PUBLIC[1], {"frage": "warum?"}))
    assert isinstance(got, Refusal)
    answer, display = got.outgoing
    assert answer.topic == "andon/answer/ask/scanner3"
    assert b"missing required field `question`" in answer.payload
    assert b"could not be read" in display.payload
    assert intake().hears(delivery(PUBLIC[0], b"\xff")).outgoing == ()  # type: ignore[union-attr]


def test_answer_topics_can_be_narrowed() -> None:
    door = intake(answer_topics=("+/answers",))
    sent = delivery(PUBLIC[1], b"why?", response_topic="plant/motor7/cmd/stop")
    assert isinstance(door.hears(sent), Refusal)
    [entry] = entries(door.hears(delivery(PUBLIC[1], b"why?", response_topic="s/answers")))
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
    got = intake().hears(delivery(topic, payload, retain=retain))
    if isinstance(got, Refusal):
        assert got.event.reason
        assert got.event.topic == topic
        msgspec.json.decode(msgspec.json.encode(got.event), type=RejectedEvent)
    else:
        assert all(isinstance(entry, Entry) for entry in got)
