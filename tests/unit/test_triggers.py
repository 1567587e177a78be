"""A machine's message becomes a fault, whatever it sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import Fault
from services.orchestrator.triggers import read
from services.runtime.config import Trigger
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit

TOPIC = "plant/motor7/fault"
PLAIN = Trigger(topic="plant/+/fault")


def fault(payload: Any, trigger: Trigger = PLAIN, topic: str = TOPIC, lang: Any = "en") -> Fault:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return read(trigger, topic, raw, lang=lang, received="2026-01-31T12:00:00.000Z")


def test_an_object_with_the_usual_names() -> None:
    got = fault({"code": "E005", "text": "DC bus undervoltage", "severity": "HIGH"})
    assert (got.asset, got.code, got.text) == ("plant/motor7", "E005", "DC bus undervoltage")
    assert (got.priority, got.state) == ("critical", "active")
    assert got.question == "Fault E005: DC bus undervoltage"


@pytest.mark.parametrize(
    ("payload", "code", "text"),
    [
        (b"E005", "E005", ""),
        (b"5", "5", ""),
        (b"007", "007", ""),
        (b"5.0", "5", ""),
        (b'"E005"', "E005", ""),
        (b"E.OC1", "E.OC1", ""),
        (b"F 30002", "F 30002", ""),
        (b"E005: drive tripped", "E005", "drive tripped"),
        ("E005：直流母线欠压".encode(), "E005", "直流母线欠压"),
        (b"pump makes a noise", "", "pump makes a noise"),
        (b"\xef\xbb\xbfE005", "E005", ""),
        (b'{"fault_code": 5}', "5", ""),
        (b'{"alarm": true, "error": "OC"}', "OC", ""),
    ],
)
def test_codes_and_texts(payload: bytes, code: str, text: str) -> None:
    got = fault(payload)
    assert (got.code, got.text) == (code, text)


def test_the_text_decides_the_language_unless_the_trigger_does() -> None:
    assert fault({"code": "E005", "text": "直流母线欠压"}).lang == "zh"
    assert fault({"code": "E005"}, lang="zh").question == "故障 E005"
    assert fault({"text": "直流母线欠压"}, Trigger(topic="#", lang="en")).lang == "en"


def test_where_things_are_is_configured() -> None:
    trigger = Trigger(
        topic="scada/#",
        asset="{2}/{data.machine}",
        question="{asset}: {code} at {data.rpm} rpm",
        code=("data.alarms.0.id",),
        severity=("data.sev",),
        priorities={"3": "advice"},
    )
    payload = {"data": {"machine": "press 4", "alarms": [{"id": 311}], "sev": 3, "rpm": 1450}}
    got = fault(payload, trigger, "scada/hall2/x")
    assert got.asset == "hall2/press 4"
    assert got.code == "311"
    assert got.question == "hall2/press 4: 311 at 1450 rpm"
    assert got.priority == "advice"


@pytest.mark.parametrize(
    "payload",
    [
        {"code": "E005", "state": "cleared"},
        {"code": "E005", "active": False},
        {"code": "E005", "status": "OK"},
        b"0",
        b"",
        {"code": 0},
        {"code": 0, "severity": 2},
    ],
)
def test_what_says_that_the_fault_is_gone(payload: Any) -> None:
    got = fault(payload)
    assert got.state == "cleared"
    assert got.code in {"E005", ""}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'{"code": ', "not JSON"),
        (b"[1, 2]", "a JSON list"),
        (b"true", "a JSON bool"),
        (b"null", "a JSON NoneType"),
        (b"\x00\x01\x02", "control characters"),
        (b'{"speed": 3}', "no code and no text; the payload has speed"),
        (b'{"code": "' + b"x" * 65 + b'"}', "at most 64"),
    ],
)
def test_what_cannot_be_used_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        fault(payload)


@pytest.mark.parametrize(
    "machine", ["a#b", "+", "", "ask/x", "x" * 300, "a\nb", "a\x85b", "a/" * 40 + "b"]
)
def test_an_asset_that_makes_no_topic_is_refused(machine: str) -> None:
    with pytest.raises(Rejected, match="asset"):
        fault({"code": "1", "m": machine}, Trigger(topic="#", asset="{m}"), "t")


def fault_or_reason(payload: Any) -> Fault | str:
    """Anything but a Rejected with a reason is a mistake of ours."""
    try:
        return fault(payload)
    except Rejected as error:
        return error.reason or pytest.fail("no reason")


@given(st.binary(max_size=200))
def test_any_bytes_make_a_fault_or_a_reason(payload: bytes) -> None:
    got = fault_or_reason(payload)
    if isinstance(got, Fault):
        assert got.asset == "plant/motor7"
        assert got.question or got.state == "cleared"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "text", "severity", "state", "a", "0"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_makes_a_fault_or_a_reason(value: Any) -> None:
    got = fault_or_reason(value)
    if isinstance(got, Fault):
        assert got.code or got.text or got.state == "cleared"
        assert "\x00" not in got.code + got.text
