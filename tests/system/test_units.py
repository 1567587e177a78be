"""What befalls one unit befalls no other: kills, hangs, memory, order, failing for long."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.plant_of_box import UNITS, PlantOfBox, configure
from tests.support.sample import sample_manual

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]

_MANUAL = "/srv/manual.pdf"
_PYTHON = tuple(unit for unit in UNITS if unit != "andon-broker")
_CONFIG = "etc/andon/config.yaml"


def _others_live(before: dict[str, int], after: dict[str, int], *but: str) -> bool:
    return all(after[unit] == before[unit] for unit in UNITS if unit not in but)


def test_it_takes_a_manual_in(box: Box, plant: PlantOfBox, tmp_path: Path) -> None:
    box.until("all ready", plant.all_ready)
    manual = sample_manual(tmp_path, "pdf")
    (box.root / _MANUAL.lstrip("/")).write_bytes(manual.read_bytes())
    box.run("andon", "add", _MANUAL, "--searchable", within_s=240)


@pytest.mark.parametrize("unit", UNITS)
def test_killed_it_comes_back_and_no_other_notices(box: Box, plant: PlantOfBox, unit: str) -> None:
    before = plant.pids()
    box.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", unit)
    box.until(f"{unit} again", lambda: plant.pids()[unit] not in {0, before[unit]})
    box.until("all ready", plant.all_ready)
    assert _others_live(before, plant.pids(), unit)
    assert plant.answer("E005")["citations"]


def test_hanging_they_are_started_anew(box: Box, plant: PlantOfBox) -> None:
    before = plant.pids()
    for unit in _PYTHON:
        box.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", unit)
    box.until("all anew", lambda: not set(plant.pids().values()) & {before[u] for u in _PYTHON})
    for unit in _PYTHON:
        said = box.run("journalctl", f"--unit={unit}", "--no-pager", "--output=cat").stdout
        assert "Failed with result 'watchdog'" in said
    box.until("all ready", plant.all_ready)
    assert plant.pids()["andon-broker"] == before["andon-broker"]
    assert plant.answer("E005")["citations"]


def test_a_broker_that_hangs_is_started_anew(box: Box, plant: PlantOfBox) -> None:
    """Mosquitto has no watchdog; andon-broker-watch.timer looks after it."""
    assert box.shown("andon-broker-watch.timer", "ActiveState") == "active"
    box.run("systemctl", "start", "andon-broker-watch")
    before = plant.pids()
    box.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", "andon-broker")
    box.run("systemctl", "start", "--no-block", "andon-broker-watch")  # not to wait for the minute
    box.until(
        "broker anew", lambda: plant.pids()["andon-broker"] not in {0, before["andon-broker"]}
    )
    box.until("all ready", plant.all_ready)
    assert _others_live(before, plant.pids(), "andon-broker")
    assert plant.answer("E005")["citations"]


def test_one_that_grows_is_killed_and_no_other(box: Box, plant: PlantOfBox) -> None:
    if not box.limits_memory:
        pytest.skip("this machine's kernel gives a box no memory controller")
    before = plant.pids()
    unit = "andon-orchestrator"
    limit = int(box.shown(unit, "MemoryMax"))
    assert limit == 64 * 2**20
    # What grows is beside it in its control group, and the last that the kernel would choose.
    groups = "/sys/fs/cgroup/memory /sys/fs/cgroup"
    script = (
        f"for g in {groups}; do p=$g/system.slice/{unit}.service/cgroup.procs;"
        " [ -e $p ] && echo $$ >$p && break; done; exec /usr/bin/python3 -c"
        f" 'x = bytearray({limit}); x[::4096] = bytes([1]) * len(x[::4096])'"
    )
    score = f"/proc/{before[unit]}/oom_score_adj"
    box.run("sh", "-c", f"echo 1000 >{score}")
    box.run("sh", "-c", script, check=False)
    box.until(f"{unit} again", lambda: plant.pids()[unit] not in {0, before[unit]})
    said = box.run("journalctl", f"--unit={unit}", "--no-pager", "--output=cat").stdout
    assert "status=9/KILL" in said
    box.until("all ready", plant.all_ready)
    assert _others_live(before, plant.pids(), unit)
    assert plant.answer("E005")["citations"]


def test_limits_are_those_of_the_configuration(box: Box) -> None:
    for unit in (*UNITS, "andon-llama"):
        most = int(box.shown(unit, "MemoryMax"))
        assert 0 < int(box.shown(unit, "MemoryHigh")) < most < 2**62, unit
    assert int(box.shown("andon-broker", "OOMScoreAdjust")) < 0
    assert int(box.shown("andon-orchestrator", "OOMScoreAdjust")) < 0
    assert box.shown("andon-orchestrator", "OOMPolicy") == "stop"


def test_any_order_will_do(box: Box, plant: PlantOfBox) -> None:
    box.run("systemctl", "stop", "andon.target", *UNITS)
    for unit in reversed(UNITS):
        box.run("systemctl", "start", unit, within_s=120)
    box.run("systemctl", "start", "andon.target", within_s=120)
    box.until("all ready", plant.all_ready)
    assert plant.answer("E005")["citations"]


def test_with_a_wrong_configuration_it_waits_and_then_comes_by_itself(
    box: Box, plant: PlantOfBox
) -> None:
    config = box.root / _CONFIG
    before = config.read_text()
    config.write_text(f"{before}\nno_such_key: 1\n")
    box.run("systemctl", "restart", "andon-orchestrator", check=False)
    again = "andon-again@andon-orchestrator"
    box.until("it waits", lambda: box.shown(again, "ActiveState") == "activating")
    said = box.run("journalctl", "--unit=andon-orchestrator", "--no-pager", "--output=cat").stdout
    assert "no_such_key" in said
    config.write_text(before)
    box.until("all ready", plant.all_ready)


def test_ingest_rests_and_is_woken(box: Box, plant: PlantOfBox, tmp_path: Path) -> None:
    before = configure(box, "ingest", idle_exit_s=2)

    def rests() -> bool:
        return box.shown("andon-ingest", "ActiveState") == "inactive"

    # What was killed and hung before counts as starts in too short a time, as do these.
    box.run("systemctl", "reset-failed", "andon-ingest")
    box.run("systemctl", "restart", "andon-ingest")
    box.until("it rests", rests)
    assert box.run("andon", "status", check=False).returncode == 0
    assert box.shown("andon-ingest", "Result") == "success"
    # A request wakes it.
    listed = json.loads(box.run("andon", "documents", "--json").stdout)
    assert [one["file"] for one in listed] == ["manual.pdf"]
    box.until("it rests again", rests)
    # So does a file in the inbox.
    began = box.shown("andon-ingest", "InactiveExitTimestampMonotonic")
    note = box.root / "var/lib/andon/inbox/note.csv"
    note.write_text("code,name,remedy\nX901,belt off,put it on again\n")
    box.until("woken", lambda: box.shown("andon-ingest", "InactiveExitTimestampMonotonic") != began)
    box.until("it rests again", rests)
    assert "put it on again" in json.dumps(plant.answer("X901"))
    (box.root / _CONFIG).write_text(before)
    box.run("systemctl", "reset-failed", "andon-ingest")
    box.run("systemctl", "start", "andon-ingest")


def test_what_is_stopped_stays_so(box: Box, plant: PlantOfBox) -> None:
    box.run("systemctl", "stop", "andon.target")
    box.until("all are down", lambda: not any(plant.pids().values()))
    for unit in UNITS:
        assert box.shown(unit, "ActiveState") == "inactive", unit
