"""Edge nodes message by message: aliases, sequence, values, and when a rebirth is wanted."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from services.orchestrator.births import Sparkplug, Told
from services.orchestrator.rebirths import FIRST_S, MOST_S, Rebirths
from services.orchestrator.sparkplug import address, decode
from tests.support import sparkplug as edge
from tests.support.sparkplug import metric, payload, real_data

pytestmark = pytest.mark.unit

DATA = real_data()
real = pytest.mark.skipif(DATA is None, reason="the real Sparkplug messages are not here")


class Plant:
    """One edge node `e` of group `g` that publishes to the table under test."""

    def __init__(self, *watched: str) -> None:
        self.table = Sparkplug(watched or ("code", "text"))
        self.seq = -1

    def says(self, kind: str, *metrics: bytes, device: str = "", skip: int = 0) -> Told:
        self.seq = 0 if kind == "NBIRTH" else (self.seq + 1 + skip) % 256
        seq = None if kind == "NDEATH" else self.seq
        return self.raw(kind, payload(*metrics, seq=seq), device)

    def raw(self, kind: str, message: bytes, device: str = "") -> Told:
        topic = f"spBv1.0/g/{kind}/e" + (f"/{device}" if device else "")
        found = address(topic)
        assert found is not None
        return self.table.take(found, decode(message))

    def vector(self, name: str) -> Told:
        assert DATA is not None
        raw = (DATA / "vectors" / f"{name}.bin").read_bytes()
        return self.raw("NDATA" if "NDATA" in name else name.partition("_")[0], raw)

    def born(self, *metrics: bytes) -> None:
        assert not self.says("NBIRTH", metric("bdSeq", 0, alias=0)).rebirth
        assert not self.says("DBIRTH", *metrics, device="d").rebirth


CODE = metric("code", 0, alias=7, datatype=edge.INT32)
TEXT = metric("text", "", alias=8, datatype=edge.STRING)


def test_an_alias_is_the_name_of_the_birth() -> None:
    plant = Plant()
    plant.born(CODE, TEXT, metric("speed", 3, alias=9))
    told = plant.says("DDATA", metric(value=5, alias=7), metric(value=9, alias=9), device="d")
    assert (told.news, told.rebirth) == ((("code", 5),), False)
    assert (told.before, told.now) == ({"code": 0, "text": ""}, {"code": 5, "text": ""})


def test_values_stay_until_they_change() -> None:
    plant = Plant()
    plant.born(CODE, TEXT)
    plant.says("DDATA", metric(value="hot", alias=8), device="d")
    told = plant.says("DDATA", metric(value=5, alias=7), device="d")
    assert told.now == {"code": 5, "text": "hot"}
    assert plant.says("DDATA", metric(alias=8, null=True), device="d").now == {
        "code": 5,
        "text": None,
    }


def test_the_datatype_of_the_birth_gives_the_sign() -> None:
    plant = Plant()
    plant.born(CODE)
    assert plant.says("DDATA", metric(value=-5, alias=7), device="d").news == (("code", -5),)


@pytest.mark.parametrize(
    ("one", "value"),
    [
        (metric("code", 5.0), 5),
        (metric("code", 5.5), 5.5),
        (metric("code", float("nan")), None),
        (metric("code", float("inf")), None),
        (metric("code", raw=edge.field(16, b"x")), None),
        (metric("code", "x" * 5000), "x" * 4000),
    ],
)
def test_what_a_value_becomes(one: bytes, value: Any) -> None:
    told = Plant().says("NBIRTH", one)
    assert told.now == {"code": value}
    assert told.news == (() if value is None else (("code", value),))


def test_old_values_sent_late_are_not_taken() -> None:
    assert Plant().says("NBIRTH", metric("code", 5, historical=True)).now == {}


def test_data_before_a_birth_wants_one() -> None:
    plant = Plant()
    told = plant.says("DDATA", metric(value=5, alias=7), device="d")
    assert (told.news, told.rebirth, told.born) == ((), True, False)
    by_name = plant.says("DDATA", metric("code", 5), device="d")
    assert (by_name.news, by_name.rebirth) == ((("code", 5),), True)
    assert plant.says("DBIRTH", CODE, device="d").rebirth, "its node's own birth is missing"
    plant.born(CODE)
    assert not plant.says("DDATA", metric(value=5, alias=7), device="d").rebirth


def test_a_gap_wants_a_birth_until_it_comes() -> None:
    plant = Plant()
    plant.born(CODE)
    told = plant.says("DDATA", metric(value=5, alias=7), device="d", skip=1)
    assert (told.news, told.rebirth) == ((("code", 5),), True)
    assert plant.says("NDATA").rebirth
    assert plant.says("DBIRTH", CODE, device="d").rebirth
    plant.born(CODE)


def test_the_sequence_wraps_and_the_same_message_may_come_twice() -> None:
    plant = Plant()
    plant.born(CODE)
    for _ in range(600):
        assert not plant.says("DDATA", metric(value=5, alias=7), device="d").rebirth
    again = payload(metric(value=5, alias=7), seq=plant.seq)
    assert not plant.raw("DDATA", again, "d").rebirth
    assert not plant.says("NDATA").rebirth


def test_messages_without_a_number_are_not_missed() -> None:
    plant = Plant()
    assert not plant.raw("NBIRTH", payload(CODE)).rebirth
    for _ in range(3):
        assert not plant.raw("NDATA", payload(metric(value=1, alias=7))).rebirth
    assert not plant.raw("NDATA", payload(metric(value=1, alias=7), seq=9)).rebirth
    assert plant.raw("NDATA", payload(metric(value=1, alias=7), seq=11)).rebirth


def test_an_unknown_alias_wants_a_birth() -> None:
    plant = Plant()
    plant.born(CODE, metric("speed", 3, alias=9))
    assert not plant.says("DDATA", metric(value=5, alias=9), device="d").rebirth
    assert plant.says("DDATA", metric(value=5, alias=10), device="d").rebirth


def test_aliases_are_those_of_one_device() -> None:
    plant = Plant()
    plant.born(CODE)
    plant.says("DBIRTH", metric("text", "", alias=7), device="other")
    assert plant.says("DDATA", metric(value="x", alias=7), device="other").now == {"text": "x"}
    assert plant.says("DDATA", metric(value=4, alias=7), device="d").now == {"code": 4}


def test_a_device_that_died_is_forgotten() -> None:
    plant = Plant()
    plant.born(CODE)
    told = plant.says("DDEATH", device="d")
    assert (told.news, told.now, told.rebirth) == ((), {}, False)
    assert plant.says("DDATA", metric(value=5, alias=7), device="d").rebirth


def test_a_node_that_died_is_forgotten_with_its_devices() -> None:
    plant = Plant()
    plant.born(CODE)
    assert plant.says("NDEATH", metric("bdSeq", 0)) == Told()
    told = plant.says("DDATA", metric(value=5, alias=7), device="d")
    assert (told.news, told.rebirth) == ((), True)


def test_a_birth_of_the_node_ends_what_its_devices_said() -> None:
    plant = Plant()
    plant.born(CODE)
    plant.says("NBIRTH")
    assert plant.says("DDATA", metric(value=5, alias=7), device="d").rebirth


def test_what_was_not_committed_is_told_again() -> None:
    plant = Plant()
    plant.born(CODE)
    plant.table.keep()
    first = plant.says("DDATA", metric(value=5, alias=7), device="d")
    plant.table.restore()
    plant.seq -= 1
    assert plant.says("DDATA", metric(value=5, alias=7), device="d") == first
    assert first.before == {"code": 0}


def test_the_table_is_bounded() -> None:
    table = Sparkplug(["code"])
    for number in range(1001):
        found = address(f"spBv1.0/g/NBIRTH/e{number}")
        assert found is not None
        table.take(found, decode(payload(CODE, seq=0)))
    message = decode(payload(metric(value=1, alias=7), seq=1))
    first, last = address("spBv1.0/g/NDATA/e0"), address("spBv1.0/g/NDATA/e1000")
    assert first is not None
    assert last is not None
    assert not table.take(last, message).rebirth
    assert table.take(first, message).rebirth


@real
def test_real_messages_in_a_row() -> None:
    plant = Plant("Temperature", "Node Control/Rebirth")
    assert plant.vector("NDATA_BEFORE_BIRTH").rebirth
    birth = plant.vector("NBIRTH_V1")
    assert birth.news == (("Node Control/Rebirth", False), ("Temperature", 21.5))
    assert not birth.rebirth
    data = plant.vector("NDATA_V1")
    assert (data.news, data.rebirth) == ((("Temperature", 22.5),), False)
    gap = plant.vector("NDATA_GAP")
    assert (gap.news, gap.rebirth) == ((("Temperature", 27),), True)
    assert plant.vector("NDEATH_V1") == Told()
    assert plant.vector("NDATA_V1").rebirth
    large = plant.vector("NBIRTH_LARGE")
    assert not large.rebirth
    assert plant.raw("NDATA", payload(metric(value=1.0, alias=101), seq=1)).rebirth


@real
def test_real_messages_at_the_end_of_the_sequence() -> None:
    plant = Plant("Temperature")
    plant.vector("NBIRTH_V1")
    for seq in range(1, 256):
        assert not plant.raw("NDATA", payload(seq=seq)).rebirth
    told = plant.vector("NDATA_WRAPAROUND")
    assert (told.news, told.rebirth) == ((("Temperature", 30),), False)


@real
def test_the_numbers_of_a_real_plant() -> None:
    """500 messages of one edge node as captured, node and devices numbered through.

    It leaves the number out where it is 0, as protobuf writers of version 3 do.
    """
    assert DATA is not None
    text = (DATA / "pcap_patterns.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = [row for row in csv.DictReader(lines) if row["edge_node_id"] == "702"]
    plant = Plant()
    missed = []
    plant.raw("NBIRTH", payload(seq=int(rows[0]["seq"])))
    for row in rows:
        assert address(row["topic"]) is not None
        message = payload(seq=int(row["seq"]) if row["seq"] else None)
        if plant.raw("NDATA", message).rebirth:
            missed.append(row["seq"])
            plant.raw("NBIRTH", message)
    assert len(rows) == 509
    assert missed == ["23", "115", "138", "228", "68", "147", "149", "164", "185"]


NODE = ("g", "e")


def test_a_node_is_asked_at_most_every_ten_seconds() -> None:
    asking = Rebirths()
    assert asking.due(NODE, 1000.0)
    asking.asked(NODE, 1000.0)
    assert not asking.due(NODE, 1000.0 + FIRST_S - 0.1)
    assert asking.due(("g", "other"), 1000.0)
    assert asking.due(NODE, 1000.0 + FIRST_S)
    assert asking.due(NODE, 900.0), "a clock that was set back must not silence it"


def test_a_node_that_does_not_do_as_asked_is_asked_less_often() -> None:
    asking = Rebirths()
    at, pauses = 0.0, []
    for _ in range(8):
        asking.asked(NODE, at)
        start = at
        while not asking.due(NODE, at):
            at += 1.0
        pauses.append(at - start)
    assert pauses == [10, 20, 40, 80, 160, 320, MOST_S, MOST_S]
    at += 4 * MOST_S
    asking.asked(NODE, at)
    assert asking.due(NODE, at + FIRST_S)
