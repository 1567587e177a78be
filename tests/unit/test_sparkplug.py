"""Sparkplug B on the wire: real messages, messages of our own, and anything at all."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.orchestrator.sparkplug import (
    REBIRTH,
    Address,
    Payload,
    address,
    decode,
    rebirth,
    rebirth_topic,
)
from services.runtime.errors import Rejected
from tests.support import sparkplug as edge
from tests.support.sparkplug import field, metric, payload, real_data, varint

pytestmark = pytest.mark.unit

DATA = real_data()
VECTORS: list[dict[str, Any]] = (
    json.loads((DATA / "vectors.json").read_text(encoding="utf-8")) if DATA else []
)


def vector(name: str) -> Payload:
    if DATA is None:
        pytest.skip("the real Sparkplug messages (mqtt/sparkplug_b) are not here")
    return decode((DATA / "vectors" / f"{name}.bin").read_bytes())


def values(message: Payload) -> list[tuple[str, int | None, Any]]:
    return [(one.name, one.alias, one.value) for one in message.metrics]


@pytest.mark.skipif(DATA is None, reason="the real Sparkplug messages are not here")
def test_all_real_messages_are_read() -> None:
    assert DATA is not None
    files = {path.stem for path in (DATA / "vectors").glob("*.bin")}
    assert files == {one["name"] for one in VECTORS}
    assert len(files) == 7
    for one in VECTORS:
        raw = Path(DATA / one["file"]).read_bytes()
        assert len(raw) == one["bytes"]
        message = decode(raw)
        assert len(message.metrics) == one["metric_count"], one["name"]
        assert message.timestamp


@pytest.mark.parametrize(
    ("name", "seq", "found"),
    [
        (
            "NBIRTH_V1",
            0,
            [("bdSeq", 1, 88), ("Node Control/Rebirth", 2, False), ("Temperature", 100, 21.5)],
        ),
        ("NDATA_V1", 1, [("", 100, 22.5)]),
        ("NDEATH_V1", 0, [("bdSeq", 0, 0)]),
        ("NDATA_GAP", 5, [("", 100, 27.0)]),
        ("NDATA_BEFORE_BIRTH", 1, [("", 100, 25.0)]),
        ("NDATA_WRAPAROUND", 0, [("", 100, 30.0)]),
    ],
)
def test_what_real_messages_say(
    name: str, seq: int, found: list[tuple[str, int | None, Any]]
) -> None:
    message = vector(name)
    assert (message.seq, values(message)) == (seq, found)


def test_a_large_real_birth() -> None:
    message = vector("NBIRTH_LARGE")
    named = {one.name: one.value for one in message.metrics}
    assert (named["Metric_1"], named["Metric_100"]) == (1.5, 150.0)
    assert [one.alias for one in message.metrics[2:]] == list(range(1, 101))


ASPECTS: list[tuple[bytes, Any]] = [
    (metric("a", 5), 5),
    (metric("a", -5, datatype=edge.INT32), -5),
    (metric("a", -5, datatype=edge.INT64), -5),
    (metric("a", 2**32 - 5), 2**32 - 5),
    (metric("a", raw=field(4, 1) + field(10, 0xFB)), -5),
    (metric("a", raw=field(4, 3) + field(10, -5)), -5),
    (metric("a", 2**64 - 1, datatype=edge.UINT64), 2**64 - 1),
    (metric("a", 2.5, datatype=edge.FLOAT), 2.5),
    (metric("a", 0.1), 0.1),
    (metric("a", True), True),
    (metric("a", "直流母线欠压"), "直流母线欠压"),
    (metric("a", raw=field(16, b"\x00\xff")), b"\x00\xff"),
    (metric("a", raw=field(17, b"\xff\xff\xff")), None),
    (metric("a", 5, raw=field(18, b"\x0a")), None),
    (metric("a", 5, null=True), None),
    (metric("a", 5, raw=field(8, b"\xff") + field(9, b"\xff") + field(500, "x")), 5),
    (metric("a", 5, raw=field(500, b"12345678", wire=1) + field(501, b"1234", wire=5)), 5),
    (metric("a", 5, raw=field(10, "wrong wire type")), 5),
    (metric("a", 1) + metric(value=2), 2),
    (metric("a"), None),
]


@pytest.mark.parametrize(("raw", "value"), ASPECTS, ids=range(len(ASPECTS)))
def test_values(raw: bytes, value: Any) -> None:
    message = decode(payload(raw, seq=255) + field(9, "later") + field(4, "uuid"))
    [one] = message.metrics
    assert (one.name, one.value, message.seq) == ("a", value, 255)
    assert type(one.value) is type(value)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x80", "cut off inside a number"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "longer than 10 bytes"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0f", "wire type 7"),
        (b"\x00\x00", "field number 0"),
        (b"\x12\x05ab", "5 bytes announced, 2 are left"),
        (b"\x12" + varint(2**63), "bytes announced, 0 are left"),
        (b"\x09123", "8 bytes announced, 3 are left"),
        (b"\x12\x02\x0a\x05", "5 bytes announced, 0 are left"),
        (field(2, field(1, b"\xff\xfe")), "not UTF-8"),
        (field(2, field(15, b"\xc3")), "not UTF-8"),
        (field(4, "SPBV1.0_COMPRESSED") + field(5, b"x"), "compressed"),
        (b'{"code": "E005"}', "bytes announced|wire type|cut off"),
    ],
)
def test_damaged_payloads_say_why(raw: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        decode(raw)


def read(raw: bytes) -> Payload | str:
    """Anything but a Rejected with a reason is a mistake of ours."""
    try:
        return decode(raw)
    except Rejected as error:
        return error.reason or pytest.fail("no reason")


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(0, 2**32 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
)
METRICS = st.builds(
    lambda name, value, alias, raw: metric(name, value, alias=alias, raw=raw),
    st.text(max_size=10),
    VALUES,
    st.integers(0, 2**64 - 1),
    st.sampled_from([b"", field(500, "more")]),
)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_make_a_payload_or_a_reason(raw: bytes) -> None:
    read(raw)
    read(field(2, raw))
    read(field(2, field(9, raw)))


@settings(deadline=None)
@given(st.lists(METRICS, max_size=4), st.integers(0, 255), st.data())
def test_a_damaged_message_makes_a_payload_or_a_reason(
    metrics: list[bytes], seq: int, data: st.DataObject
) -> None:
    raw = bytearray(payload(*metrics, seq=seq))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    read(bytes(raw))
    read(bytes(raw[:place]))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=10), VALUES), max_size=5), st.integers(0, 255)
)
def test_what_was_written_is_read(given_: list[tuple[str, Any]], seq: int) -> None:
    message = decode(payload(*(metric(name, value) for name, value in given_), seq=seq))
    assert (message.seq, [(one.name, one.value) for one in message.metrics]) == (seq, given_)


def test_deep_nesting_is_skipped() -> None:
    raw = b""
    for _ in range(5000):
        raw = field(2, raw)
    deep = field(2, field(1, "a") + field(18, raw) + field(10, 5))
    assert values(decode(deep)) == [("a", None, 5)]


def test_not_a_number_is_a_value() -> None:
    raw = field(1, "a") + field(13, struct.pack("<d", math.nan), wire=1)
    [one] = decode(field(2, raw)).metrics
    assert isinstance(one.value, float)
    assert math.isnan(one.value)


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("spBv1.0/g/NBIRTH/e", Address(group="g", edge="e", kind="BIRTH")),
        ("spBv1.0/g/NDATA/e", Address(group="g", edge="e", kind="DATA")),
        ("spBv1.0/g/NDEATH/e", Address(group="g", edge="e", kind="DEATH")),
        ("spBv1.0/g 1/DBIRTH/e/d 2", Address(group="g 1", edge="e", device="d 2", kind="BIRTH")),
        ("spBv1.0/g/DDEATH/e/d", Address(group="g", edge="e", device="d", kind="DEATH")),
        # Against the specification, and in a capture of a real plant.
        ("spBv1.0/g/NDATA/e/d", Address(group="g", edge="e", device="d", kind="DATA")),
        ("spBv1.0/g/NCMD/e", None),
        ("spBv1.0/g/DCMD/e/d", None),
        ("spBv1.0/STATE/host", None),
        ("spBv1.0/g/STATE/host", None),
    ],
)
def test_topics(topic: str, found: Address | None) -> None:
    assert address(topic) == found


def test_the_place_of_a_machine() -> None:
    node = Address(group="g", edge="e", kind="DATA")
    device = Address(group="g", edge="e", device="d", kind="DATA")
    assert (node.asset, device.asset) == ("g/e", "g/e/d")


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0",
        "spBv1.0/g",
        "spBv1.0/g/NDATA",
        "spBv1.0/g/NDATA/",
        "spBv1.0//NDATA/e",
        "spBv1.0/g/DDATA/e",
        "spBv1.0/g/DDATA/e/d/x",
        "spBv1.0/g/XDATA/e",
        "spBv1.0/g/NCMD2/e",
        "spAv1.0/g/NDATA/e",
        "plant/motor7/fault",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(Rejected, match="not one of Sparkplug B"):
        address(topic)


def test_the_request_for_a_rebirth() -> None:
    raw = rebirth(1_700_000_000_000)
    one = metric(REBIRTH, timestamp=1_700_000_000_000, datatype=edge.BOOLEAN, value=True)
    assert raw == payload(one)
    message = decode(raw)
    assert (message.timestamp, message.seq) == (1_700_000_000_000, None)
    assert [(m.name, m.value) for m in message.metrics] == [("Node Control/Rebirth", True)]
    assert rebirth_topic("g 1", "e") == "spBv1.0/g 1/NCMD/e"
