"""The library through the front door: a whole Andon, the commands, MQTT, and its inbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import SOON_S, Andon, listening

pytestmark = pytest.mark.integration

CONFIG = """
ingest: {inbox_scan_s: 0.1, inbox_settle_s: 0.3, inbox_grace_s: 1.0}
"""


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Andon]:
    with Andon(tmp_path_factory.mktemp("andon"), CONFIG) as running:
        yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


@pytest.fixture
def empty(andon: Andon) -> Iterator[Andon]:
    """It, with nothing left in it afterwards."""
    yield andon
    for document in andon.json("documents"):
        andon.json("remove", document["doc_id"], "--purge")


def note(folder: Path, name: str, cause: str, code: str = "E731") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = f"| Code | Cause | Remedy |\n|---|---|---|\n| {code} | {cause} | call the fitter |\n"
    path.write_text(f"# Fault codes\n\n{table}", encoding="utf-8")
    return path


def until(look: Callable[[], Any], what: str) -> Any:
    """Wait until something is so, and return it."""
    # On a busy machine looks at the inbox are half a minute apart.
    deadline = time.monotonic() + 3 * SOON_S
    while not (found := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def answer(andon: Andon, asset: str, code: str = "E731") -> dict[str, Any]:
    """What a machine that reports a fault is told."""
    with listening(andon.port, f"andon/answer/{asset}") as client:
        while client.waiting():
            client.next()
        client.publish(f"{asset}/fault", {"code": code})
        while True:
            message = client.next(lambda m: not m.retain)
            got: dict[str, Any] = json.loads(message.payload)
            if got["stage"] == "final":
                return got


def test_an_answer_cites_the_revision_that_answers(empty: Andon, tmp_path: Path) -> None:
    andon = empty
    path = note(tmp_path, "press.md", "belt worn")
    assert "revision 1" in andon.cli("add", str(path)).stdout
    note(tmp_path, "press.md", "motor hot")
    [added] = andon.json("add", str(path))
    assert (added["revision"], added["state"], added["kept"]) == (2, "ready", [1])
    told = answer(andon, "plant/press1")
    assert (told["citations"][0]["revision"], told["causes"]) == (2, ["motor hot"])
    done = andon.cli("rollback", "press.md")
    assert (done.returncode, done.stdout) == (0, "press.md: revision 1 answers, no longer 2\n")
    told = answer(andon, "plant/press2")
    assert (told["citations"][0]["revision"], told["causes"]) == (1, ["belt worn"])
    assert "revision 1 (2 kept)" in andon.cli("documents").stdout
    shown = andon.cli("documents", "press.md").stdout
    assert "answers     revision 1" in shown
    assert "revision 2  kept" in shown
    again = andon.cli("add", str(path)).stdout
    assert "the content of revision 2: it answers again, nothing was read" in again
    assert andon.json("rollback", "press.md", "--to", "1")["state"]["answers"] == 1
    assert andon.json("rollback", "press.md", "--to", "2")["before"] == 1
    refused = andon.cli("rollback", "press.md", "--to", "9")
    assert (refused.returncode, "revision 9 is not kept (kept: 1)" in refused.stderr) == (1, True)
    assert "nothing was done" in andon.cli("add", str(path)).stdout


def test_what_is_said_about_a_document_is_searched_by_and_edited(
    empty: Andon, tmp_path: Path
) -> None:
    andon = empty
    folder = tmp_path / "manuals"
    note(folder, "a/press.md", "belt worn")
    note(folder, "b/pump.md", "seal leaks")
    for name in (".hidden.md", "~$press.docx", "half.pdf.part"):
        note(folder, name, "nothing")
    done = andon.cli(
        "add", str(folder), "--collection", "Hall 3", "--tag", "Spare", "--kind", "manual"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("2 files: 2 ready\n")
    assert [d["file"] for d in andon.json("documents")] == ["a/press.md", "b/pump.md"]
    assert [d["tags"] for d in andon.json("documents")] == [["a", "spare"], ["b", "spare"]]
    edited = andon.cli(
        "edit", "pump.md", "--asset", "plant/p7", "--title", "Pump P7", "--tag", "", "--kind", "x y"
    )
    assert edited.returncode == 0, edited.stderr
    assert "for plant/p7 · Hall 3, x y" in edited.stdout
    for options, files in (
        (["--collection", "Hall 3"], ["a/press.md", "b/pump.md"]),
        (["--collection", "Hall 4"], []),
        (["--kind", "X Y"], ["b/pump.md"]),
        (["--tag", "spare"], ["a/press.md"]),
        (["--tag", "a"], ["a/press.md"]),
        (["--asset", "plant/p7"], ["b/pump.md"]),
        (["--state", "ready", "--tag", "spare"], ["a/press.md"]),
        (["--state", "failed"], []),
    ):
        assert [d["file"] for d in andon.json("documents", *options)] == files, options
        if "--state" not in options and "--asset" not in options:
            found = {row["file"] for row in andon.json("search", "E731", *options)}
            assert found == set(files), options
    assert answer(andon, "plant/p7")["citations"][0]["document"] == "Pump P7"
    assert answer(andon, "plant/p7")["scope"] == "asset"
    [shown] = andon.json("documents", "b/pump.md")["documents"]
    assert (shown["title"], shown["assets"], shown["tags"]) == ("Pump P7", ["plant/p7"], [])
    # What was said since then stands when the folder is added again, and a new file is heard of.
    note(folder, "b/fan.md", "bearing dry")
    again = {d["file"]: d for d in andon.json("add", str(folder))}
    assert (again["b/pump.md"]["tags"], again["b/pump.md"]["collection"]) == ([], "Hall 3")
    assert (again["b/fan.md"]["tags"], again["b/fan.md"]["collection"]) == (["b"], "manuals")
    assert andon.cli("remove", "fan.md").returncode == 0
    assert "was so already" in andon.cli("edit", "pump.md", "--title", "Pump P7").stdout
    for wrong, reason in (
        (["edit", "pump.md"], "nothing was said"),
        (["edit", "nothing.md", "--title", "x"], "no such document"),
        (["edit", "pump.md", "--asset", "a/#/b"], "not a topic filter"),
        (["documents", "nothing.md"], "no such document"),
    ):
        refused = andon.cli(*wrong)
        assert (refused.returncode, reason in refused.stderr) == (1, True), refused.stderr


def test_paths_that_are_not_there_and_patterns(empty: Andon, tmp_path: Path) -> None:
    andon = empty
    for name in ("one.md", "two.md", "three.txt", "deep/four.md"):
        note(tmp_path, name, f"cause {name}")
    assert len(andon.json("add", str(tmp_path / "*.md"))) == 2
    assert len(andon.json("add", str(tmp_path / "**" / "*.md"))) == 3
    for path, reason in (
        (tmp_path / "missing", "no such file"),
        (tmp_path / "*.pdf", "no file matches"),
    ):
        refused = andon.cli("add", str(path))
        assert (refused.returncode, reason in refused.stderr) == (1, True)
    mixed = andon.cli("add", str(tmp_path / "one.md"), str(tmp_path / "three.txt"), "--no-wait")
    assert mixed.returncode == 0
    assert "one.md" in mixed.stdout
    titled = andon.cli("add", str(tmp_path), "--title", "x")
    assert (titled.returncode, "--title names one document" in titled.stderr) == (1, True)
    until(lambda: {d["state"] for d in andon.json("documents")} == {"ready"}, "not read")


def test_the_inbox_takes_what_is_dropped_in(empty: Andon) -> None:
    andon = empty
    inbox = andon.data / "inbox"
    assert f"Drop manuals into {inbox}" in andon.said()
    note(inbox, "presses/press.md", "belt worn")
    (inbox / "presses" / "andon.yaml").write_text("assets: [plant/press1]\n", encoding="utf-8")
    [state] = until(lambda: andon.json("documents", "--state", "ready"), "not taken")
    until(lambda: andon.json("documents", "--asset", "plant/press1"), "its folder is not heard")
    assert state["collection"] == "presses"
    assert answer(andon, "plant/press1")["citations"][0]["file"] == "presses/press.md"
    (inbox / "presses" / "press.md").unlink()
    until(lambda: not andon.json("documents"), "not removed")
    (inbox / "presses" / "andon.yaml").unlink()


def test_removed_words_are_nowhere_on_the_disk(empty: Andon, tmp_path: Path) -> None:
    andon = empty
    word = "quixelnarthverb"

    def files_with_it() -> set[str]:
        return {
            path.name
            for path in andon.data.rglob("*")
            if path.is_file() and path.parent.name != "broker" and word in _text(path)
        }

    path = note(tmp_path, f"{word}.md", f"the {word} is worn")
    [added] = andon.json("add", str(path))
    # Searched for, but not answered: answers stay in the ledger, as a record of what was said.
    assert andon.json("search", word)
    assert added["sha256"] in files_with_it()
    andon.json("remove", added["doc_id"], "--purge")
    until(lambda: not files_with_it(), "the word is still there")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("latin-1")
    except FileNotFoundError:  # a temporary file
        return ""


def test_a_folder_of_many_files_is_taken_at_once(andon: Andon, tmp_path: Path) -> None:
    # More than a connection takes messages that nobody has read: what is said about each of
    # them must not hold up the replies.
    for n in range(300):
        path = tmp_path / "many" / f"{n}.pdf"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"%PDF-1.7 and no more")
    states = andon.json("add", str(tmp_path / "many"), "--no-wait")
    assert len({state["doc_id"] for state in states}) == 300
