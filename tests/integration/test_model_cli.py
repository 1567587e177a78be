"""`andon up --model` and `andon model`, as a person uses them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.andon import ROOT, Andon
from tests.support.swapping import write_both
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_both(tmp_path / "models")
    return tmp_path / "models"


def until_listed(andon: Andon, name: str, state: str) -> None:
    """Wait until a model is known and settled."""
    for _ in range(100):
        listed = {one["name"]: one["state"] for one in andon.json("model", "list")["models"]}
        if listed.get(name) == state:
            return
    raise AssertionError(f"{name} is not {state}: {listed}\n{andon.said()}")


def test_from_a_stick_to_the_answer(tmp_path: Path, folder: Path) -> None:
    stick = tmp_path / "media" / "stick" / "andon-models"
    config = f"llm_bridge:\n  model_folders: [{tmp_path}/media/*/andon-models]\n"
    options = ("--model", str(folder / "alpha.gguf"))
    with Andon(tmp_path, config, options=options, LLAMA_ARG_THREADS="1") as andon:
        until_listed(andon, "alpha", "in use")
        stick.mkdir(parents=True)
        write_tiny_gguf(stick / "gamma.gguf", name="Gamma 1B", favourite="z")
        write_tiny_gguf(stick / "odd.gguf", architecture="nonesuch")
        until_listed(andon, "gamma", "ready")

        listed = andon.cli("model", "list").stdout
        assert "alpha" in listed
        assert "in use" in listed
        assert "of memory can be had" in listed
        info = andon.cli("model", "info", "gamma").stdout
        assert "Gamma 1B" in info
        assert "4 heads (4 of keys and values)" in info
        assert str(stick / "gamma.gguf") in info

        used = andon.cli("model", "use", "gamma", "--context", "3072")
        assert used.returncode == 0, used.stderr
        assert "gamma answers now (3072 tokens a request" in used.stdout
        assert "answers that were begun are finished" in used.stderr
        assert "gamma is being loaded" in used.stderr
        facts = andon.json_status()["llm_bridge"]["facts"]
        assert (facts["model"], facts["context"], facts["switching"]) == ("gamma", 3072, "")
        assert facts["models"] == "alpha, beta, gamma, odd"
        assert andon.json("model", "info")["name"] == "gamma"

        refused = andon.cli("model", "use", "odd")
        assert refused.returncode == 1
        assert "odd: " in refused.stderr
        assert "gamma answers as before" in refused.stderr
        missing = andon.cli("model", "use", "nothing", "--json")
        assert missing.returncode == 1
        assert '"rejected"' in missing.stdout
        assert andon.json("model", "use", "alpha")["model"] == "alpha"
    assert andon.exit_code == 0


def test_the_model_in_use_is_that_of_the_next_start(tmp_path: Path, folder: Path) -> None:
    options = ("--model", str(folder))
    with Andon(tmp_path, options=options, LLAMA_ARG_THREADS="1") as andon:
        until_listed(andon, "alpha", "in use")
        until_listed(andon, "beta", "ready")
        assert andon.json("model", "use", "beta")["model"] == "beta"
    with Andon(tmp_path, options=options, LLAMA_ARG_THREADS="1") as andon:
        until_listed(andon, "beta", "in use")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing.gguf", "not there"), ("broken.gguf", "no GGUF file"), ("empty", "no GGUF file in")],
)
def test_what_cannot_run_is_told_at_once(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"%PDF-1.7 of a manual")
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "services.cli", "up", "--port", "0"]
    command += ["--data", str(tmp_path / "data"), "--model", str(tmp_path / name)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 78
    assert reason in done.stderr
