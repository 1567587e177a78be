"""Sparkplug B at the door: changes of the code metric become faults, all else is taken quietly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.channels import ALARM
from schemas.faults import Alarm, Fault
from services.orchestrator.records import Entry, Refusal
from services.runtime.config import Trigger
from tests.support.sparkplug import metric, payload
from tests.support.sparkplug_door import BIRTH, TRIGGER, Door

pytestmark = pytest.mark.unit


def code(value: int) -> bytes:
    return metric(value=value, alias=1)


def alarms(got: list[Entry]) -> list[tuple[str, str, str, int]]:
    found = []
    for entry in got:
        for message in entry.deeds.outgoing if entry.deeds else ():
            if asset := ALARM.parameters(message.topic):
                alarm: Alarm = ALARM.decode(message.payload)
                found.append((asset["asset"], alarm.code, alarm.state, alarm.occurrences))
    return found


def fault(got: list[Entry]) -> Fault:
    [entry] = got
    assert isinstance(entry.message, Fault)
    return entry.message


def test_a_code_by_alias_becomes_a_fault() -> None:
    door = Door()
    assert door.born() == []
    got = door.data(code(5), metric(value="DC bus undervoltage", alias=2), metric(value=1, alias=3))
    found = fault(got)
    assert (found.asset, found.code, found.text) == ("g/e/d", "5", "DC bus undervoltage")
    assert (found.question, found.priority) == ("Fault 5: DC bus undervoltage", "critical")
    assert got[0].deeds is not None
    assert len(got[0].deeds.works) == 1
    assert got[0].deeds.outgoing[0].topic == "andon/alarm/g/e/d"
    assert door.intake.rebirths() == set()


def test_only_changes_count() -> None:
    door = Door()
    door.born()
    assert alarms(door.data(code(5))) == [("g/e/d", "5", "active", 1)]
    assert door.data(code(5)) == []
    assert door.data(metric(value=1451.0, alias=5)) == []
    assert door.data(metric(value="later words", alias=2)) == []
    assert alarms(door.data(code(7))) == [("g/e/d", "7", "active", 1)]
    assert alarms(door.data(code(5))) == [("g/e/d", "5", "active", 2)]
    cleared = door.data(code(0))
    assert {(c, state) for _, c, state, _ in alarms(cleared)} == {
        ("5", "cleared"),
        ("7", "cleared"),
    }
    assert door.data(code(0)) == []
    assert alarms(door.data(code(5))) == [("g/e/d", "5", "active", 1)]


def test_a_birth_that_repeats_a_standing_code_is_no_new_occurrence() -> None:
    door = Door(standing=["5"])
    standing = metric("Alarm/Code", 5, alias=1)
    assert door.born(standing, *BIRTH[1:]) == []
    assert door.data(code(5)) == []
    assert door.born(standing, *BIRTH[1:]) == []
    assert alarms(door.born(metric("Alarm/Code", 6, alias=1), *BIRTH[1:])) == [
        ("g/e/d", "6", "active", 1)
    ]
    assert {c for _, c, state, _ in alarms(door.born()) if state == "cleared"} == {"5", "6"}


def test_a_birth_with_a_code_nobody_knew_is_a_fault() -> None:
    got = Door().born(metric("Alarm/Code", 5, alias=1))
    assert alarms(got) == [("g/e/d", "5", "active", 1)]


@pytest.mark.parametrize("rest", ["", "0", "0000", " "])
def test_an_empty_code_clears(rest: str) -> None:
    door = Door()
    door.born(metric("Alarm/Code", "", alias=1))
    assert alarms(door.data(metric(value="E005", alias=1))) == [("g/e/d", "E005", "active", 1)]
    assert alarms(door.data(metric(value=rest, alias=1))) == [("g/e/d", "E005", "cleared", 1)]


def test_a_lost_value_neither_raises_nor_clears() -> None:
    door = Door()
    door.born()
    door.data(code(5))
    assert door.data(metric(alias=1, null=True), metric(value="", alias=2)) == []
    assert door.data(metric(value="words", alias=2)) == []
    assert door.data(code(5)) == []
    assert alarms(door.data(code(0))) == [("g/e/d", "5", "cleared", 1)]


def test_a_state_metric_says_whether_the_code_stands() -> None:
    door = Door()
    door.born()
    door.data(code(5))
    assert alarms(door.data(metric(value=False, alias=4))) == [("g/e/d", "5", "cleared", 1)]
    assert alarms(door.data(metric(value=True, alias=4))) == [("g/e/d", "5", "active", 1)]


def test_words_belong_to_the_code_they_came_with() -> None:
    door = Door()
    door.born()
    door.data(code(5), metric(value="undervoltage", alias=2))
    assert fault(door.data(code(7))).question == "Fault 7"
    door.data(metric(value=False, alias=4))
    again = fault(door.data(metric(value=True, alias=4)))
    assert (again.code, again.text) == ("7", "undervoltage")


def test_a_device_that_only_sends_words() -> None:
    door = Door(Trigger(topic="spBv1.0/#", format="sparkplug", text=("Message",)))
    door.born(metric("Message", "", alias=1))
    got = fault(door.data(metric(value="belt torn", alias=1)))
    assert (got.code, got.text, got.question) == ("", "belt torn", "belt torn")
    assert alarms(door.data(metric(value="", alias=1))) == [("g/e/d", "", "cleared", 1)]


def test_words_before_the_birth_are_not_taken_for_a_fault() -> None:
    door = Door()
    assert door.data(metric("Alarm/Text", "all is well")) == []
    assert alarms(door.data(metric("Alarm/Code", 5))) == [("g/e/d", "5", "active", 1)]


def test_templates_take_levels_and_metrics() -> None:
    trigger = Trigger(
        topic="spBv1.0/#",
        format="sparkplug",
        code=("c",),
        asset="{2}/{4}/{Properties/Line}",
        question="{asset}: {code} at {Speed}",
    )
    door = Door(trigger)
    line = metric("Properties/Line", "line 3", alias=3)
    door.born(metric("c", 0, alias=1), metric("Speed", 1450.0, alias=2), line)
    got = fault(door.data(code(5)))
    assert (got.asset, got.question) == ("g/e/line 3", "g/e/line 3: 5 at 1450")


def test_the_edge_node_itself_may_fault() -> None:
    door = Door()
    got = door.hears("NBIRTH", metric("Alarm/Code", 9))
    assert alarms(got) == [("g/e", "9", "active", 1)]


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("spBv1.0/STATE/host", b'{"online": true}'),
        ("spBv1.0/g/NCMD/e", b"\xff"),
        ("spBv1.0/g/DCMD/e/d", payload(metric("Alarm/Code", 5))),
        ("spBv1.0/g/NDEATH/e", payload(metric("bdSeq", 0))),
        ("spBv1.0/g/DDATA/e/d", payload(metric("Speed", 5.0), seq=1)),
        ("spBv1.0/g/DDATA/e/d", payload(seq=1)),
    ],
)
def test_what_tells_no_fault_is_taken_quietly(topic: str, message: bytes) -> None:
    assert Door().raw(topic, message) == []


@pytest.mark.parametrize(
    ("topic", "message", "reason"),
    [
        ("spBv1.0/g/DDATA/e/d", b'{"code": 5}', "read Sparkplug message: "),
        ("spBv1.0/g/XDATA/e", payload(), "not one of Sparkplug B"),
        ("spBv1.0/g/DBIRTH/e/d", b"x" * 70_000, "or raise max_payload_kb"),
        ("spBv1.0/g/DDATA/e/d", payload(metric("Alarm/Code", "x" * 65)), "at most 64"),
        ("spBv1.0/ask/DDATA/e/d", payload(metric("Alarm/Code", 5)), "kept for questions"),
    ],
)
def test_what_cannot_be_used_is_recorded(topic: str, message: bytes, reason: str) -> None:
    got = Door().raw(topic, message)
    assert isinstance(got, Refusal)
    assert reason in got.event.reason


def test_a_code_too_long_does_not_hide_what_follows() -> None:
    door = Door()
    door.born(metric("Alarm/Code", "", alias=1))
    assert isinstance(door.hears("DDATA", metric(value="x" * 65, alias=1)), Refusal)
    assert alarms(door.data(metric(value="E5", alias=1))) == [("g/e/d", "E5", "active", 1)]


def test_nodes_to_be_asked_for_their_births_are_named_once() -> None:
    door = Door()
    door.data(code(5))
    door.data(code(6))
    assert door.intake.rebirths() == {("g", "e")}
    assert door.intake.rebirths() == set()
    door.born()
    door.data(code(5))
    assert door.intake.rebirths() == set()


def test_a_failed_commit_forgets_the_change_with_the_alarm() -> None:
    door = Door()
    door.born()
    door.intake.committed()
    first = door.data(code(5))
    door.intake.restore()
    door.seq -= 1
    again = door.data(code(5))
    assert alarms(again) == alarms(first) == [("g/e/d", "5", "active", 1)]


def test_other_formats_stay_as_they_are_beside_it() -> None:
    door = Door(TRIGGER, Trigger(topic="plant/+/fault"))
    got = door.raw("plant/motor7/fault", b"E005")
    assert alarms(got) == [("plant/motor7", "E005", "active", 1)]


METRICS = st.builds(
    lambda name, value, alias, more: metric(name, value, alias=alias, **more),
    st.sampled_from(["", "Alarm/Code", "Alarm/Text", "Alarm/Active", "x"]),
    st.none() | st.booleans() | st.integers(0, 9) | st.floats() | st.text(max_size=5),
    st.integers(0, 6),
    st.fixed_dictionaries({}, optional={"null": st.just(True), "historical": st.just(1)}),
)
TOPICS = st.sampled_from(
    [f"spBv1.0/g/N{kind}/e" for kind in ("BIRTH", "DATA", "DEATH")]
    + [f"spBv1.0/g/D{kind}/e/d" for kind in ("BIRTH", "DATA", "DEATH")]
)
PAYLOADS = st.binary(max_size=60) | st.builds(
    lambda metrics, seq: payload(*metrics, seq=seq),
    st.lists(METRICS, max_size=4),
    st.none() | st.integers(0, 255),
)


@settings(deadline=None)
@given(st.lists(st.tuples(TOPICS, PAYLOADS, st.booleans()), max_size=12))
def test_any_messages_in_any_order_are_taken_or_recorded(
    messages: list[tuple[str, bytes, bool]],
) -> None:
    door = Door()
    for topic, message, retain in messages:
        got = door.raw(topic, message, retain=retain)
        if isinstance(got, Refusal):
            assert got.event.reason
        else:
            assert all(entry.deeds for entry in got)
