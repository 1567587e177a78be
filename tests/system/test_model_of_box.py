"""The language model's server of a box: it follows what is there, and is watched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.llama_server import llama_server
from tests.support.plant_of_box import PlantOfBox
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = [pytest.mark.system, pytest.mark.timeout(1500)]

_UNIT = "andon-llama"
_DATA = "var/lib/andon"


def _running(box: Box) -> str:
    """What the server says of the model in use; empty where it says nothing."""
    path = box.root / _DATA / "model" / "server.json"
    return str(json.loads(path.read_text())["state"]) if path.exists() else ""


def _server(box: Box) -> int:
    """The process of llama-server itself, 0 while there is none."""
    pid = box.shown(_UNIT, "MainPID")
    children = box.run("cat", f"/proc/{pid}/task/{pid}/children", check=False).stdout.split()
    return int(children[0]) if children else 0


def test_without_a_model_it_rests(box: Box, plant: PlantOfBox) -> None:
    box.until("all ready", plant.all_ready)
    shutil.copy(llama_server(), box.root / "usr/local/bin/llama-server")
    config = box.root / "etc/andon/config.yaml"
    given = config.read_text()
    assert "\nllm_bridge:\n" in given
    given = given.replace("\nllm_bridge:\n", "\nllm_bridge:\n  url: http://127.0.0.1:8090\n")
    config.write_text(given)
    box.run("systemctl", "restart", "andon-llm-bridge")
    box.run("systemctl", "start", "andon-llama.path", _UNIT)
    box.until("it rests", lambda: box.shown(_UNIT, "ActiveState") == "inactive")
    assert box.shown(_UNIT, "Result") == "success"


def test_a_model_that_is_put_there_is_served(box: Box, plant: PlantOfBox, tmp_path: Path) -> None:
    made = write_tiny_gguf(tmp_path / "tiny.gguf")
    shutil.copy(made or tmp_path / "tiny.gguf", box.root / _DATA / "models/tiny.gguf")
    (box.root / _DATA / "models/tiny.gguf").chmod(0o644)
    box.until("it serves", lambda: _running(box) == "ready")
    box.until("all ready", plant.all_ready)
    assert "tiny" in box.run("andon", "model", "list").stdout
    uid = box.run("id", "-u", "andon-model").stdout
    assert uid in box.run("cat", f"/proc/{_server(box)}/status").stdout


def test_it_sees_nothing_of_the_data_but_models(box: Box) -> None:
    seen = box.run("ls", f"/proc/{_server(box)}/root/{_DATA}").stdout.split()
    assert sorted(seen) == ["model", "models"]


def test_killed_it_is_there_again(box: Box, plant: PlantOfBox) -> None:
    before = _server(box)
    bridge = plant.pids()["andon-llm-bridge"]
    box.run("kill", "-KILL", str(before))
    box.until("another", lambda: _server(box) not in {0, before} and _running(box) == "ready")
    assert plant.pids()["andon-llm-bridge"] == bridge


def test_hanging_it_is_started_anew(box: Box) -> None:
    before = _server(box)
    box.run("kill", "-STOP", str(before))
    box.until("another", lambda: _server(box) not in {0, before} and _running(box) == "ready")
    said = box.run("journalctl", f"--unit={_UNIT}", "--no-pager", "--output=cat").stdout
    assert "Failed with result 'watchdog'" in said
