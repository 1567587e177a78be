"""`andon eval` through the front door: a whole Andon, its broker, a manual, and gold questions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import Andon
from tests.support.knowing import Knowing

pytestmark = pytest.mark.integration

MANUAL = """# Press

## Faults

| Code | Cause | Remedy |
|---|---|---|
| E731 | belt worn | fit a new belt and tension it |
| E732 | oil level low | refill with hydraulic oil |
"""
GOOD = [
    {"id": "belt", "question": "What does E731 mean?", "doc": "press.md", "type": "code",
     "must_contain": ["E731", "belt worn"], "lang": "en", "doc_lang": "en"},
    {"id": "zh", "question": "E732怎么办?", "doc": "deep/folder/press.md", "type": "code",
     "must_contain": ["refill with hydraulic oil"], "doc_lang": "en"},
    {"id": "no", "question": "What does E999 mean?", "unanswerable": True},
]  # fmt: skip


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory, knowing: Knowing) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("andon")
    (folder / "press.md").write_text(MANUAL, encoding="utf-8")
    knowing(folder)
    with Andon(folder) as running:
        added = running.cli("add", str(folder / "press.md"))
        assert added.returncode == 0, added.stderr + running.said()
        yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


def write(path: Path, rows: list[Any]) -> str:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_questions_are_asked_and_measured(andon: Andon, tmp_path: Path) -> None:
    report = andon.json("eval", write(tmp_path / "qa.jsonl", GOOD))
    table = report["figures"]
    assert set(table) == {"all", "code", "same", "cross", "unanswerable"}
    for group in ("all", "code", "same", "cross"):
        for name in ("recall@1", "page@1", "phrases@1", "extracted", "mrr"):
            assert table[group][name] == 1.0, (group, name, report["results"])
    assert table["all"]["abstention_recall"] == 1.0
    assert table["all"]["refused"] == 0.0
    assert 0 < table["all"]["search_p50_ms"] <= table["all"]["search_p99_ms"]
    assert table["all"]["answer_p50_ms"] > 0
    assert report["missing_documents"] == []
    assert report["embedding"]
    assert report["passages"] > 2


def test_the_page_counts_and_not_the_document_alone(andon: Andon, tmp_path: Path) -> None:
    [sample] = [d["file"] for d in andon.json("documents") if d["file"].endswith(".pdf")]
    question = "What does fault E005 mean?"
    [hit] = andon.json("search", question, "--limit", "1")
    rows = [
        {"question": question, "doc": sample, "page": hit["page"] + more, "type": name}
        for name, more in (("right", 0), ("wrong", 1000))
    ]
    figures = andon.json("eval", write(tmp_path / "qa", rows), "--no-answers")["figures"]
    assert (figures["right"]["page@1"], figures["wrong"]["page@5"]) == (1.0, 0.0)


def test_a_fault_list_is_asked_for_by_its_codes(andon: Andon, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    entry = {"code": "E731", "title": "Belt", "cause": "belt worn", "remedy": "fit a new belt and"}
    file.write_text(json.dumps([entry]), encoding="utf-8")
    forms = ("--form", "{code}", "--form", "报警{code}是什么意思?")
    figures = andon.json("eval", str(file), "--doc", "press.md", *forms)["figures"]
    assert figures["all"]["questions"] == 2
    for form in ("{code}", "报警{code}是什么意思?"):
        got = figures[form]
        assert (got["recall@1"], got["cause"], got["remedy"], got["extracted"]) == (1, 1, 1, 1)


def test_hundreds_of_answers_do_not_fill_the_connection(andon: Andon, tmp_path: Path) -> None:
    # Our broker stops sending to a client that leaves 200 messages unacked.
    rows = [GOOD[0] | {"id": n} for n in range(300)]
    report = andon.json("eval", write(tmp_path / "qa.jsonl", rows))
    assert [result["error"] for result in report["results"]] == [""] * 300
    assert report["figures"]["all"]["extracted"] == 1.0


def test_a_bad_line_is_named_and_the_others_are_asked(andon: Andon, tmp_path: Path) -> None:
    file = write(tmp_path / "qa.jsonl", [GOOD[0], '{"question": 5}', "{", {"question": "x"}])
    done = andon.cli("eval", file, "--no-answers")
    assert done.returncode == 0
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        f"{file}:{n}" for n in (2, 3, 4)
    ]
    assert "100.0 %" in done.stdout
    report = andon.json("eval", file, "--no-answers")
    assert [bad["line"] for bad in report["rejected"]] == [2, 3, 4]
    assert "extracted" not in report["figures"]["all"]


def test_a_broken_limit_is_told_and_fails(andon: Andon, tmp_path: Path) -> None:
    lost = {"question": "What does E731 mean?", "doc": "press.md", "must_contain": ["new motor"]}
    file = write(tmp_path / "qa.jsonl", [GOOD[0], lost])
    done = andon.cli("eval", file, "--no-answers", "--fail-under", "code.recall@1=1", "--misses")
    assert done.returncode == 0
    assert "2: What does E731 mean?\n    passage at none of the places" in done.stdout
    done = andon.cli(
        "eval", file, "--no-answers", "--fail-under", "phrases@3=0.9", "--fail-over", "refused=0"
    )
    assert done.returncode == 1
    assert done.stderr == "andon: phrases@3 is 0.5, less than 0.9\n"
    assert andon.cli("eval", file, "--fail-under", "page@3").returncode == 2


def test_a_question_whose_manual_is_missing_is_no_miss(andon: Andon, tmp_path: Path) -> None:
    lost = {"id": "lost", "question": "What does E731 mean?", "doc": "gone.pdf", "pages": [3]}
    elsewhere = lost | {"id": "too", "also_found_in": [{"doc": "press.md"}]}
    file = write(tmp_path / "qa.jsonl", [GOOD[0], lost, elsewhere])
    report = andon.json("eval", file, "--no-answers")
    assert report["figures"]["manual missing"] == {"questions": 1}
    assert report["figures"]["all"]["questions"] == 2
    assert report["figures"]["all"]["page@1"] == 1.0
    assert report["missing_documents"] == ["gone.pdf"]
    assert [r["id"] for r in report["results"] if r["missing"]] == ["lost"]
    done = andon.cli("eval", file, "--no-answers", "--misses", "--fail-under", "page@1=1")
    assert done.returncode == 0, done.stderr
    said = "manual missing: 1 question is not counted; not in the library: gone.pdf"
    assert said in done.stdout
    assert "lost: " not in done.stdout
    # A limit cannot be kept by questions that nobody asked.
    alone = write(tmp_path / "lost.jsonl", [lost])
    done = andon.cli("eval", alone, "--no-answers", "--fail-under", "page@1=1")
    assert (done.returncode, "there is no such figure" in done.stderr) == (1, True)


def test_a_run_is_compared_with_an_earlier_one(andon: Andon, tmp_path: Path) -> None:
    asked = {"id": "a", "question": "E731?", "doc": "press.md", "must_contain": ["new motor"]}
    earlier = tmp_path / "then.json"
    andon.json(
        "eval", write(tmp_path / "a", [GOOD[0], asked]), "--no-answers", "--out", str(earlier)
    )
    asked = asked | {"must_contain": ["new belt"]}
    done = andon.cli(
        "eval",
        write(tmp_path / "b", [GOOD[0], asked]),
        "--no-answers",
        "--baseline",
        str(earlier),
    )
    assert done.returncode == 0, done.stderr
    assert "recall@1 +0.5" in done.stdout
    assert "better: a" in done.stdout
    refused = andon.cli("eval", str(tmp_path / "b"), "--baseline", str(tmp_path / "b"))
    assert (refused.returncode, "written by --out" in refused.stderr) == (1, True)


def test_questions_are_kept_and_run_again(andon: Andon) -> None:
    empty = andon.cli("eval")
    assert empty.returncode == 1
    assert "--keep" in empty.stderr
    question = "Why does the press lose oil pressure?"
    told = andon.cli("eval", "--keep", question, "--doc", "press.md", "--phrase", "oil level low")
    assert told.returncode == 0, told.stderr
    kept = andon.data / "gold.jsonl"
    assert f"kept in {kept} (1 questions); today: found at place" in told.stdout
    again = andon.cli("eval", "--keep", question, "--doc", "press.md")
    assert (again.returncode, "kept already" in again.stderr) == (1, True)
    unknown = andon.cli("eval", "--keep", "x?", "--doc", "nothing.pdf")
    assert (unknown.returncode, "no such document" in unknown.stderr) == (1, True)
    # An editor may leave the last line without its end.
    kept.write_text(kept.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    told = andon.cli("eval", "--keep", "What does E999 mean?", "--unanswerable")
    assert "(2 questions); today: refused" in told.stdout, told.stderr
    figures = andon.json("eval", "--no-answers")["figures"]["all"]
    assert (figures["questions"], figures["recall@5"], figures["abstention_recall"]) == (2, 1, 1)
    report = andon.json("eval", "--no-answers")
    assert report["files"] == [str(kept)]


def test_a_page_that_is_not_there_is_not_kept(andon: Andon) -> None:
    [sample] = [d for d in andon.json("documents") if d["file"].endswith(".pdf")]
    beyond = sample["pages"] + 1
    for options, reason in [
        (("--doc", sample["file"], "--page", "1", "--page", str(beyond)),
         f"has {sample['pages']} pages, and no page {beyond}"),
        (("--doc", "press.md", "--page", "1"), "press.md has no pages"),
        (("--doc", "nothing.pdf", "--page", "1"), "no such document"),
        (("--unanswerable", "--page", "1"), "stands in no document"),
    ]:  # fmt: skip
        refused = andon.cli("eval", "--keep", "Which page?", *options)
        assert (refused.returncode, reason in refused.stderr) == (1, True), refused.stderr
    kept = andon.data / "gold.jsonl"
    assert not kept.exists() or "Which page?" not in kept.read_text(encoding="utf-8")
    last = ("--doc", sample["file"], "--page", str(sample["pages"]))
    assert andon.cli("eval", "--keep", "What stands at the end?", *last).returncode == 0


def test_wrong_files_say_what_is_wrong(andon: Andon, tmp_path: Path) -> None:
    none = andon.cli("eval", str(tmp_path / "none.jsonl"))
    assert (none.returncode, "No such file" in none.stderr) == (1, True)
    file = write(tmp_path / "bad.jsonl", ["{"])
    bad = andon.cli("eval", file)
    assert (bad.returncode, f"no question in {file}" in bad.stderr) == (1, True)
