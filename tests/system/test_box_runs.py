"""A box from the bundle: it boots, takes a manual in, answers faults, and survives its power."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support import installed
from tests.support.box import Box
from tests.support.plant_of_box import UNITS, PlantOfBox
from tests.support.sample import sample_manual

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]

EXPOSURE = 2.0
_WARNING = 4
"""Of syslog: this and what is less is worse."""
_MANUAL = "/root/manual.pdf"
_CODE = "E005"


def _about(answer: dict[str, object]) -> str:
    return json.dumps(answer, ensure_ascii=False)


def test_all_is_ready_after_boot(box: Box, plant: PlantOfBox) -> None:
    box.until("all ready", plant.all_ready)
    assert box.shown("andon.target", "ActiveState") == "active"


def test_a_start_says_nothing_twice_and_an_idle_box_nothing(box: Box, plant: PlantOfBox) -> None:
    """Warnings are for what a person has to do something about."""
    units = [f"_SYSTEMD_UNIT={unit}.service" for unit in UNITS]
    logged = ("journalctl", "--quiet", "--boot", "--no-pager", "--output=json", *units)
    lines = [json.loads(one) for one in box.run(*logged).stdout.splitlines()]
    said = [(one["_PID"], str(one["MESSAGE"])) for one in lines]
    assert [one["MESSAGE"] for one in lines if int(one["PRIORITY"]) <= _WARNING] == []
    assert [text for _, text in said if re.search(r"Traceback|Warning:|\[W:", text)] == []
    broker = str(plant.pids()["andon-broker"])  # it names each who connects
    counted = Counter((pid, re.sub(r"[\d.]+", "", text)) for pid, text in said if pid != broker)
    assert {what: count for what, count in counted.items() if count > 1} == {}
    cursor = "/root/cursor"
    box.run(*logged, f"--cursor-file={cursor}")
    box.run("systemctl", "start", "andon-broker-watch")  # as each minute
    assert box.run(*logged, f"--cursor-file={cursor}").stdout == ""


def test_a_fault_is_answered_from_a_manual(box: Box, plant: PlantOfBox, tmp_path: Path) -> None:
    manual = sample_manual(tmp_path, "pdf")
    (box.root / _MANUAL.lstrip("/")).write_bytes(manual.read_bytes())
    box.run("andon", "add", _MANUAL, "--searchable", within_s=240)
    answer = plant.answer(_CODE)
    assert "DC bus undervoltage" in _about(answer)
    assert answer["citations"]


def test_a_reader_of_each_kind_works_in_the_unit(
    box: Box, plant: PlantOfBox, tmp_path: Path
) -> None:
    """Each loads libraries of its own."""
    files = {"note.docx": sample_manual(tmp_path, "docx").read_bytes()}
    files["note.md"] = b"# Fault X901\n\nThe belt is off. Put it on again.\n"
    files["note.html"] = b"<html><body><h1>Fault X902</h1><p>The belt is torn.</p></body></html>"
    files["note.csv"] = b"code,name,remedy\nX903,belt worn,change it\n"
    for name, content in files.items():
        (box.root / "srv" / name).write_bytes(content)
    names = [f"/srv/{name}" for name in files]
    box.run("andon", "add", *names, "--searchable", within_s=240)


def test_each_unit_is_as_tight_as_it_can_be(box: Box) -> None:
    """The score of `systemd-analyze security`, 0 (best) to 10, of every service that came along."""
    listed = box.run("systemctl", "list-unit-files", "--no-legend", "andon*.service").stdout
    units = [line.split()[0].replace("@.", "@x.") for line in listed.splitlines()]
    assert len(units) > len(UNITS)
    scores = {}
    for unit in units:
        said = box.run("systemd-analyze", "--no-pager", "security", unit).stdout
        found = re.search(r"exposure level for \S+: ([\d.]+)", said)
        assert found, said
        scores[unit] = float(found[1])
    assert {unit: score for unit, score in scores.items() if score > EXPOSURE} == {}


def test_no_service_has_a_network_but_the_bridge_and_the_broker(
    box: Box, plant: PlantOfBox
) -> None:
    host = box.run("readlink", "/proc/1/ns/net").stdout
    for unit, pid in plant.pids().items():
        own = box.run("readlink", f"/proc/{pid}/ns/net").stdout
        assert (own == host) == (unit in {"andon-broker", "andon-llm-bridge"}), unit
        devices = box.run("cat", f"/proc/{pid}/net/dev").stdout
        assert "lo:" in devices
    denied = box.shown("andon-llm-bridge", "IPAddressDeny")
    assert "0.0.0.0/0" in denied
    assert "::/0" in denied


def test_every_process_is_nobody_special(box: Box, plant: PlantOfBox) -> None:
    for unit, pid in plant.pids().items():
        status = dict(
            line.split(":\t", 1)
            for line in box.run("cat", f"/proc/{pid}/status").stdout.splitlines()
            if ":\t" in line
        )
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, unit
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert "0" not in status["Uid"].split()


def test_a_reader_is_confined_inside_the_unit(box: Box, plant: PlantOfBox) -> None:
    """What a reader gives up by itself, see confine.py, works within what its unit allows."""
    unit = (box.root / "usr/local/lib/systemd/system/andon-ingest.service").read_text()
    replaced = {
        "ExecStart": "/opt/andon/current/bin/python /srv/probe.py",
        "Type": "oneshot",
        "Restart": "no",
        "WatchdogSec": "0",
        "StandardOutput": "file:/run/probe",
    }
    lines = [line for line in unit.splitlines() if line.partition("=")[0] not in replaced]
    at = lines.index("[Service]") + 1
    lines[at:at] = [f"{key}={value}" for key, value in replaced.items()]
    (box.root / "etc/systemd/system/probe.service").write_text("\n".join(lines))
    (box.root / "srv/probe.py").write_text(_PROBE)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", "probe.service")
    assert json.loads(box.run("cat", "/run/probe").stdout) == {
        "socket": "PermissionError",
        "other file": "PermissionError",
        "own network": True,
        "program": "PermissionError",
    }


_PROBE = """
import ctypes, json, os, sys, tempfile
before = os.readlink("/proc/self/ns/net")
from services.ingest import confine
folder = tempfile.mkdtemp()
confine.confine(parent=os.getppid(), memory_mb=256, cpu_s=10, open_files=64, writes=(folder,))
libc = ctypes.CDLL(None, use_errno=True)

def tried(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

print(json.dumps({
    "socket": tried(lambda: call(41, 2, 1, 0)),
    "other file": tried(lambda: open("/etc/andon/config.yaml").read()),
    "own network": os.readlink("/proc/self/ns/net") != before,
    "program": tried(lambda: call(59, b"/bin/true", None, None)),
}))
"""


def test_the_journal_has_levels(box: Box) -> None:
    """What is debug is there as such, where the configuration wants it."""
    config = box.root / "etc/andon/config.yaml"
    before = config.read_text()
    config.write_text(f"{before}\nlog: debug\n")
    box.run("systemctl", "restart", "andon-llm-bridge")
    options = ("--unit=andon-llm-bridge", "--priority=debug..debug", "--output=cat", "--no-pager")
    assert "is ready" in box.run("journalctl", *options).stdout
    config.write_text(before)
    box.run("systemctl", "restart", "andon-llm-bridge")


def test_it_answers_on_a_root_that_is_read_only(box: Box, plant: PlantOfBox) -> None:
    box.shut_down()
    box.boot(writable="/var/lib/andon")
    box.run("systemctl", "restart", "andon.target", within_s=120)
    assert box.run("touch", "/etc/x", check=False).returncode != 0
    box.until("all ready", plant.all_ready)
    assert "DC bus undervoltage" in _about(plant.answer(_CODE))
    manual = box.root / "var/lib/andon/inbox/note.csv"
    manual.write_text("code,name,remedy\nX904,belt,change it\n")
    box.until("taken in", lambda: "note.csv" in box.run("andon", "documents").stdout)


def test_after_a_reboot_it_answers_by_itself(box: Box, plant: PlantOfBox) -> None:
    box.shut_down()
    box.boot()
    box.until("all ready", plant.all_ready)
    assert "DC bus undervoltage" in _about(plant.answer(_CODE))


def test_a_hard_stop_in_mid_write_damages_nothing(box: Box, plant: PlantOfBox) -> None:
    """All processes die at once while faults come in; whose answer went out is in the ledger."""
    options = ("mosquitto_sub", *plant.as_("dashboard"), "-F", "%t", "-t", "andon/answer/#")
    faults = "\n".join(json.dumps({"code": f"E{number:03}"}) for number in range(2000))
    publish = box.entering("mosquitto_pub", *plant.as_("plc"), "-l", "-t", "plant/hard/fault")
    with (
        subprocess.Popen(box.entering(*options), stdout=subprocess.PIPE, text=True) as listening,
        subprocess.Popen(publish, stdin=subprocess.PIPE, text=True) as publishing,
    ):
        assert publishing.stdin
        assert listening.stdout
        publishing.stdin.write(faults)
        publishing.stdin.close()
        told = [listening.stdout.readline().strip() for _ in range(20)]
        box.cut()
    assert all(told)
    ledger = box.root / "var/lib/andon/ledger.db"
    box.boot()
    box.until("all ready", plant.all_ready)
    assert not list(ledger.parent.glob("*damaged*"))
    assert "DC bus undervoltage" in _about(plant.answer(_CODE))
    box.run("systemctl", "stop", "andon.target")
    with sqlite3.connect(ledger) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (hard,) = database.execute(
            "SELECT count(*) FROM event WHERE topic = 'plant/hard/fault'"
        ).fetchone()
    assert hard > 0
    box.run("systemctl", "start", "andon.target")


def test_a_copy_of_its_disk_starts_nothing_that_did_not_run_here(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Without a machine-id systemd enables at the first boot what presets do not forbid."""
    with Box(installed.layers(), tmp_path_factory.mktemp("copy")) as copy:
        (copy.root / "etc/machine-id").unlink()
        copy.boot()
        states = {
            unit: copy.run("systemctl", "is-enabled", unit, check=False).stdout.strip()
            for unit in ("mosquitto.service", "andon-metrics.service", "andon.target")
        }
        assert states == {
            "mosquitto.service": "disabled",
            "andon-metrics.service": "disabled",
            "andon.target": "enabled",
        }
        copy.until("ready", lambda: copy.run("andon", "status", check=False).returncode == 0)
