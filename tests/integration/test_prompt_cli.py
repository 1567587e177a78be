"""Prompts and traces from the command line, with a real broker and a real llama.cpp server.

The model has random weights: what it writes is nothing, but it is the same each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import Andon, listening
from tests.support.knowing import Knowing
from tests.support.llama import llama_process
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration

MINE = """\
{% block system %}
Be brief.
{% endblock %}
{% block question %}
{{ asset }}: {{ question }}
{% endblock %}
"""


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory, knowing: Knowing) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("prompts")
    model = write_tiny_gguf(folder / "tiny.gguf")
    with llama_process(model, context=8192) as server:
        config = f"llm_bridge: {{url: '{server.url}', api: completion, temperature: 0}}\n"
        knowing(folder)
        with Andon(folder, config) as running:
            yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.j2"
    path.write_text(MINE, encoding="utf-8")
    return path


def said(andon: Andon, *arguments: str, code: int = 0) -> str:
    """What a command prints to a person."""
    done = andon.cli(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def fault(andon: Andon, asset: str) -> dict[str, Any]:
    with listening(andon.port, f"andon/answer/{asset}") as client:
        client.publish(f"{asset}/fault", {"code": "E005", "text": "DC bus low"})
        return client.answer()


def test_a_prompt_is_tried_saved_compared_made_active_and_rolled_back(
    andon: Andon, mine: Path
) -> None:
    old = fault(andon, "plant/m1")
    assert old["prompt"] == "fault.en@0"
    tried = said(andon, "prompt", "try", "fault.en", "--file", str(mine), "--against", old["id"])
    assert tried.startswith("--- fault.en@0, tiny, ")
    assert old["text"] in tried
    assert "\n+++ fault.en, tiny\n" in tried
    assert tried.count("% of its statements") == 2
    assert [p["version"] for p in andon.json("prompt", "list", "fault.en")] == [0]

    saved = andon.json("prompt", "save", "fault.en", str(mine), "--note", "short", "--author", "Li")
    assert (saved["prompt"]["version"], saved["unchanged"]) == (1, False)
    assert said(andon, "prompt", "show", "fault.en", "--version", "1") == MINE
    compared = said(andon, "prompt", "diff", "fault.en", "0", "1")
    assert compared.startswith("--- fault.en@0\n+++ fault.en@1\n@@")
    assert "\n+Be brief.\n" in compared
    assert "say the same" in said(andon, "prompt", "diff", "fault.en", "0")
    assert fault(andon, "plant/m2")["prompt"] == "fault.en@0", "saved is not active"

    did = said(andon, "prompt", "activate", "fault.en", "1", "--author", "Li")
    assert did == "fault.en: version 1 answers, no longer 0\n"
    listed = said(andon, "prompt", "list", "fault.en").splitlines()
    assert listed[0] == "fault.en@0           ships with Andon"
    assert listed[1].startswith("fault.en@1   active  short, by Li, 20")
    answer = fault(andon, "plant/m3")
    assert answer["prompt"] == "fault.en@1"
    trace = andon.json("trace", answer["id"])
    assert trace["made"]["request"]["question"] == "plant/m3: Fault E005: DC bus low"
    assert trace["made"]["request"]["system"] == "Be brief."

    assert andon.json("prompt", "rollback", "fault.en")["prompt"]["version"] == 0
    assert "no version was active before" in said(andon, "prompt", "rollback", "fault.en", code=1)
    assert fault(andon, "plant/m4")["prompt"] == "fault.en@0"


def test_a_trace_is_read_by_people_and_made_again(andon: Andon) -> None:
    answer = fault(andon, "plant/m5")
    told = said(andon, "trace", answer["id"])
    assert said(andon, "trace", "plant/m5") == told, "the latest one of the machine"
    for part in (
        f"answer      {answer['id']}, final, for plant/m5",
        "question    Fault E005: DC bus low",
        "prompt      fault.en@0 (sha256 ",
        "model       tiny (",
        "), temperature 0, seed ",
        "passages    [1] Kelvarn FD40",
        "tokens      ",
        "doubts      ",
        " working\n",
    ):
        assert part in told, told
    again = said(andon, "trace", answer["id"], "--again")
    assert "the same, word for word" in again
    assert andon.json("trace", answer["id"], "--again")["differences"] == []


def test_what_is_wrong_is_said(andon: Andon, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.j2"
    wrong.write_text(MINE.replace("asset", "aset"), encoding="utf-8")
    told = said(andon, "prompt", "save", "fault.en", str(wrong), code=1)
    assert "line 5: unknown variable aset (allowed are question, code, text, asset" in told
    wrong.write_bytes(b"\xff\xfe\xff")
    assert "not UTF-8" in said(andon, "prompt", "save", "ask.en", str(wrong), code=1)
    absent = str(tmp_path / "absent.j2")
    assert "No such file" in said(andon, "prompt", "save", "ask.en", absent, code=1)
    assert "the ledger has no such answer" in said(andon, "trace", "nobody", code=1)
    assert "invalid choice: 'fault.fr'" in said(andon, "prompt", "show", "fault.fr", code=2)
    error = andon.json_whatever("prompt", "activate", "fault.zh", "5")["error"]
    assert (error["kind"], error["reason"]) == ("rejected", "there is no such version")


def test_each_command_explains_itself(andon: Andon) -> None:
    for name in ("list", "show", "save", "diff", "activate", "rollback", "try"):
        assert "--json" in said(andon, "prompt", name, "--help")
    assert "{{ occurrences }}" in " ".join(said(andon, "prompt", "--help").split())
    shown = json.loads(andon.cli("prompt", "show", "ask.zh", "--json").stdout)
    assert (shown["version"], shown["active"], shown["newest"]) == (0, True, 0)
