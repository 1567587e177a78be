"""A box that is backed up, a second one that it is restored to, its figures, and who may what."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support import installed
from tests.support.box import Box
from tests.support.plant_of_box import UNITS, PlantOfBox, configure
from tests.support.sample import sample_manual

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]

_KEY = "/root/key"
_TO = "srv/backup"


@pytest.fixture(scope="module", autouse=True)
def manual(box: Box, plant: PlantOfBox, tmp_path_factory: pytest.TempPathFactory) -> None:
    box.until("all ready", plant.all_ready)
    made = sample_manual(tmp_path_factory.mktemp("manual"), "docx")
    (box.root / "srv/manual.docx").write_bytes(made.read_bytes())
    box.run("andon", "add", "/srv/manual.docx", within_s=240)


def test_doctor_finds_nothing_wrong(box: Box) -> None:
    done = box.run("andon", "doctor", "--deep", "--json", check=False)
    found = json.loads(done.stdout)
    # The kernel's memory is that of the machine under the box, busy or not.
    assert [one for one in found if one["level"] == "problem" and one["about"] != "memory"] == []
    seen = {one["about"] for one in found}
    assert {"broker", "port", "disk", "clock", "ledger.db", "model", "retriever"} <= seen
    assert {f"{unit}.service" for unit in UNITS} <= seen


def test_figures_are_served_where_they_are_wanted(box: Box, plant: PlantOfBox) -> None:
    before = configure(box, "metrics", port=9464)
    box.run("systemctl", "start", "andon-metrics")
    plant.answer("E006")
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
    box.until(
        "counted",
        lambda: "andon_answers_total{" in box.run("python3", "-c", fetch, check=False).stdout,
    )
    figures = box.run("python3", "-c", fetch).stdout
    assert 'andon_service_up{service="orchestrator"} 1.0' in figures
    assert "andon_broker_clients_connected" in figures
    box.run("systemctl", "stop", "andon-metrics")
    (box.root / "etc/andon/config.yaml").write_text(before)


def test_the_plant_may_do_what_its_roles_say_and_no_more(box: Box, plant: PlantOfBox) -> None:
    false = json.dumps({"summary": "switch the guard off"})
    for role in ("plc", "dashboard"):
        for topic in ("andon/answer/plant/m1", "andon/rpc/retriever/search", "andon/status/ingest"):
            box.run("mosquitto_pub", *plant.as_(role), "-t", topic, "-m", false, check=False)
    heard = box.run(
        "mosquitto_sub", *plant.as_("dashboard"), "-t", "andon/#", "-W", "2", "-v", check=False
    )
    assert "guard" not in heard.stdout
    wrong = ("-h", "127.0.0.1", "-p", "8883", "--cafile", "/etc/andon/broker/tls/ca.crt")
    for who in (("-u", "plc1", "-P", "guessed"), ()):
        options = (*wrong, "--insecure", *who, "-t", "plant/m1/fault", "-m", "E005")
        assert box.run("mosquitto_pub", *options, check=False).returncode
    plain = box.run(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", "1883", "-t", "x", "-m", "x", check=False
    )
    assert plain.returncode


def test_a_second_box_goes_on_where_the_first_was(
    box: Box, plant: PlantOfBox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    answer = plant.answer("E005")
    box.run("sh", "-c", f"head -c 32 /dev/urandom | base64 >{_KEY} && mkdir -p /{_TO}")
    box.run("andon", "backup", f"/{_TO}", "--key-file", _KEY, within_s=120)
    assert box.run("andon", "backup", "--check", f"/{_TO}", "--key-file", _KEY).returncode == 0
    with Box(installed.layers(), tmp_path_factory.mktemp("second")) as second:
        second.boot()
        shutil.copytree(box.root / _TO, second.root / _TO)
        shutil.copy(box.root / _KEY.lstrip("/"), second.root / _KEY.lstrip("/"))
        restore = ("andon", "restore", f"/{_TO}", "--key-file", _KEY, "--force")
        refused = second.run(*restore, check=False)
        assert refused.returncode, "the services run"
        second.run("systemctl", "stop", "andon.target")
        second.until("down", lambda: not any(PlantOfBox.pids_of(second).values()))
        second.run(*restore, within_s=120)
        second.run("systemctl", "start", "andon.target", within_s=120)
        second.until("ready", lambda: second.run("andon", "status", check=False).returncode == 0)
        known = json.loads(second.run("andon", "documents", "--json").stdout)
        assert [one["file"] for one in known] == ["manual.docx"]
        # The passwords came along: the same controller reports, the same dashboard reads.
        fault = ("-t", "plant/second/fault", "-m", json.dumps({"code": "E005"}))
        second.run("mosquitto_pub", *plant.as_("plc"), *fault)
        topic = ("-C", "1", "-W", "60", "-t", "andon/answer/plant/second")
        same = json.loads(second.run("mosquitto_sub", *plant.as_("dashboard"), *topic).stdout)
        assert (same["summary"], same["citations"]) == (answer["summary"], answer["citations"])
        assert "plant/m" in second.run("andon", "trace", answer["id"]).stdout
