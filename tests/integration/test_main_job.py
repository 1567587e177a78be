"""The main job through the front door: a whole Andon, real manuals of our own, MQTT and the CLI."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.sample import content
from schemas.answers import Answer
from schemas.channels import CHANNELS
from services.runtime.messages import topic_matches
from tests.support.andon import SOON_S, Andon, listening
from tests.support.sample import sample_manual

pytestmark = pytest.mark.integration

QUESTION = "变频器报E005错误怎么办?"
FIRST_QUESTIONS = [QUESTION, "DC bus undervoltage", "E005", "undervoltage", "变频器过热怎么办"]
SEARCH_KEYS = {"file", "document", "revision", "page", "section", "text", "score"}


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Andon]:
    folder = tmp_path_factory.mktemp("andon")
    with Andon(folder) as running:
        added = running.cli("add", str(sample_manual(folder / "manuals", "pdf")))
        assert added.returncode == 0, added.stderr + running.said()
        yield running
    assert running.exit_code == 0, running.said()
    assert "Traceback" not in running.said()


@pytest.fixture
def manual(andon: Andon) -> dict[str, Any]:
    [document] = [d for d in andon.json("documents") if d["file"].endswith(".pdf")]
    return dict(document)


def fault_of(code: str) -> content.Fault:
    return next(fault for fault in content.FAULTS if fault.code == code)


def tight(texts: Iterable[str]) -> list[str]:
    """Without white space: the PDF sets some between Chinese and Latin that the text has not."""
    return ["".join(text.split()) for text in texts]


def test_a_fault_becomes_a_cited_answer_and_a_display(andon: Andon) -> None:
    topics = ("andon/answer/plant/motor7", "andon/display/plant/motor7")
    with listening(andon.port, *topics) as client:
        payload = {"code": "E005", "text": "DC bus undervoltage", "severity": "critical"}
        client.publish("plant/motor7/fault", payload)
        message = client.next(lambda m: m.topic == topics[0])
        answer = msgspec.json.decode(message.payload, type=Answer)
        display = client.next(lambda m: m.topic == topics[1]).payload.decode()
    fault = fault_of("E005")
    assert (answer.stage, answer.asset, answer.code) == ("final", "plant/motor7", "E005")
    assert answer.causes == list(fault.causes_en)
    assert answer.actions == list(fault.remedies_en)
    assert fault.name_en in answer.summary
    assert answer.answered_by == "extract"
    assert "no language model" in answer.note
    assert answer.citations[0].page == 7
    assert answer.citations[0].file.endswith(".pdf")
    assert answer.citations[0].section
    lines = display.split("\n")
    assert len(lines) <= 3
    assert all(len(line) <= 80 for line in lines)
    assert "E005" in lines[0]


def test_a_chinese_question_gets_the_chinese_page(andon: Andon) -> None:
    with listening(andon.port, "andon/answer/ask/scanner3") as client:
        client.publish("andon/ask/scanner3", QUESTION)
        answer = client.answer()
    fault = fault_of("E005")
    assert answer["lang"] == "zh"
    assert tight(answer["causes"]) == tight(fault.causes_zh)
    assert tight(answer["actions"]) == tight(fault.remedies_zh)
    assert answer["citations"][0]["page"] == 15


@pytest.mark.parametrize("fault", content.FAULTS, ids=lambda fault: fault.code)
def test_every_code_of_the_table_finds_its_own_row(andon: Andon, fault: content.Fault) -> None:
    with listening(andon.port, f"andon/answer/plant/{fault.code}") as client:
        client.publish(f"plant/{fault.code}/fault", {"code": fault.code})
        answer = client.answer()
    assert answer["asset"] == f"plant/{fault.code}"
    assert fault.name_en in answer["summary"]
    assert answer["causes"]
    # Some codes have an entry of their own besides, which says the same at greater length.
    if fault.code not in {entry.code for entry in content.ENTRIES}:
        assert answer["causes"] == list(fault.causes_en)
        assert answer["actions"] == list(fault.remedies_en)
        assert answer["citations"][0]["page"] in {7, 8}


def test_a_search_lists_what_programs_need(andon: Andon) -> None:
    found = andon.json("search", "E005", "--limit", "3")
    assert len(found) == 3
    assert all(set(row) == SEARCH_KEYS for row in found)
    assert any(fault_of("E005").name_en in row["text"] for row in found)


def test_answers_stand_for_those_who_come_late(andon: Andon) -> None:
    with listening(andon.port, "andon/display/plant/late") as client:
        client.publish("plant/late/fault", "E007")
        client.next()  # goes out after the answer
    topics = ("andon/answer/plant/late", "andon/display/plant/late", "andon/alarm/plant/late")
    with listening(andon.port, *topics) as late:
        got = [late.next() for _ in topics]
    assert {message.topic for message in got} == set(topics)
    assert all(message.retain for message in got)


def test_an_mqtt5_asker_is_answered_on_its_own_topic(andon: Andon) -> None:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = "scanner9/answers"
    properties.CorrelationData = b"\x00\x07"
    trace = "a" * 32
    properties.UserProperty = ("traceparent", f"00-{trace}-{'b' * 16}-01")
    with listening(andon.port, "scanner9/answers", version=paho.MQTTv5) as client:
        ask = {"id": "q-1", "question": "What does E007 mean?", "lang": "en"}
        client.publish("andon/ask/scanner9", ask, properties=properties)
        message = client.next()
    answer = msgspec.json.decode(message.payload, type=Answer)
    assert (answer.id, answer.code, answer.trace) == ("q-1", "E007", trace)
    assert message.properties.CorrelationData == b"\x00\x07"
    assert message.properties.ContentType == "application/json"
    assert message.properties.MessageExpiryInterval > 0
    [(name, value)] = message.properties.UserProperty
    assert name == "traceparent"
    assert value.split("-")[1] == trace


def test_what_the_manuals_do_not_have_is_said(andon: Andon) -> None:
    unknown = andon.json("ask", "What does fault E999 mean?")
    assert (unknown["answered_by"], unknown["citations"]) == ("none", [])
    assert "E999" in unknown["summary"]
    cake = andon.json("ask", "How do I bake a chocolate cake?")
    assert (cake["answered_by"], cake["citations"]) == ("none", [])
    assert cake["summary"] == "Not found in the manuals."
    chinese = andon.json("ask", "怎么做巧克力蛋糕？")
    assert (chinese["answered_by"], chinese["citations"]) == ("none", [])
    assert chinese["summary"] == "手册中没有找到相关内容。"


@pytest.mark.parametrize("question", FIRST_QUESTIONS)
def test_what_a_newcomer_asks_first_is_answered(andon: Andon, question: str) -> None:
    answer = andon.json("ask", question)
    assert answer["citations"]
    assert answer["citations"][0]["file"].endswith(".pdf")


def test_the_same_manual_as_docx_answers_too_and_goes_again(andon: Andon, tmp_path: Path) -> None:
    docx = sample_manual(tmp_path, "docx")
    [added] = andon.json("add", str(docx), "--asset", "plant/docx", "--title", "The DOCX")
    assert (added["state"], added["revision"], added["title"]) == ("ready", 1, "The DOCX")
    assert "was there already" in andon.cli("add", str(docx), "--title", "The DOCX").stdout
    with listening(andon.port, "andon/answer/plant/docx") as client:
        client.publish("plant/docx/fault", {"code": "E005"})
        answer = client.answer()
    assert answer["citations"][0]["document"] == "The DOCX"
    assert answer["scope"] == "asset"
    assert answer["causes"] == list(fault_of("E005").causes_en)
    [removed] = andon.json("remove", added["doc_id"])
    assert removed["passages"] == added["passages"]
    assert docx.name not in [d["file"] for d in andon.json("documents")]
    assert all(row["file"] != docx.name for row in andon.json("search", "E005", "--limit", "20"))


def test_a_changed_file_is_a_new_revision(andon: Andon, tmp_path: Path) -> None:
    note = tmp_path / "pump note.md"
    note.write_text("# Pump\n\nThe gasket of pump P7 is green.\n", encoding="utf-8")
    assert andon.json("add", str(note))[0]["revision"] == 1
    note.write_text("# Pump\n\nThe gasket of pump P7 is yellow.\n", encoding="utf-8")
    assert andon.json("add", str(note))[0]["revision"] == 2
    rows = [r for r in andon.json("search", "gasket of pump P7") if r["file"] == note.name]
    assert [r["revision"] for r in rows] == [2]
    assert "yellow" in rows[0]["text"]
    andon.json("remove", note.name, "--purge")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("cut.pdf", b"%PDF-1.7\n1 0 obj\n<<", "damaged"),
        ("text.pdf", b"this is not a PDF at all", "PDF"),
        ("empty.docx", b"", "empty"),
        ("fake.docx", b"PK\x03\x04" + bytes(200), "damaged"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "damaged"),
        ("archive.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100), "supported are"),
    ],
)
def test_bad_documents_fail_with_a_reason(
    andon: Andon, tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    done = andon.cli("add", str(file), "--json")
    assert done.returncode == 1, done.stdout
    [state] = json.loads(done.stdout)
    assert state["state"] == "failed"
    assert reason in state["reason"]
    if state["doc_id"]:
        andon.json("remove", state["doc_id"], "--purge")


def test_the_command_line_explains_itself(andon: Andon, tmp_path: Path) -> None:
    assert andon.cli("status").returncode == 0
    status = andon.json("status")
    assert {s["state"] for s in status.values()} == {"ready"}
    assert all(s["memory_mb"] < s["budget_mb"] for s in status.values())
    missing = andon.cli("add", str(tmp_path / "no.pdf"))
    assert (missing.returncode, "no such file" in missing.stderr) == (1, True)
    assert "E005" in andon.cli("ask", "What does E005 mean?").stdout
    assert andon.cli("remove", "nothing of that name").returncode == 1
    assert andon.cli("config", "check").returncode == 0
    wrong = andon.cli("remove", "nothing of that name", "--json")
    assert (wrong.returncode, json.loads(wrong.stdout)) == (1, [])
    absent = andon.cli("add", str(tmp_path / "no.pdf"), "--json")
    assert json.loads(absent.stdout)["error"]["reason"] == "no such file"


def ledger_counts(andon: Andon) -> tuple[int, int]:
    with sqlite3.connect(f"file:{andon.data / 'ledger.db'}?mode=ro", uri=True) as db:
        [events] = db.execute("SELECT count(*) FROM event").fetchone()
        [rejected] = db.execute("SELECT count(*) FROM rejected").fetchone()
    return events, rejected


PAYLOADS = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=100).map(str.encode),
    st.dictionaries(
        st.sampled_from(["code", "text", "question", "helpful", "lang", "id", "state"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers()),
        max_size=4,
    ).map(msgspec.json.encode),
    st.just(b"x" * 70_000),
    st.integers(1, 30_000).map(lambda depth: b"[" * depth),
    st.text(max_size=12).map(lambda t: msgspec.json.encode({"question": "E005", "answer_to": t})),
)
INWARD = ["plant/fuzz/fault", "andon/ask/fuzz", "andon/feedback/fuzz", "andon/ask/"]


def test_the_public_topics_that_are_fuzzed_are_all_there_are() -> None:
    inward = [channel for channel in CHANNELS if channel.owner in {"plc", "client"}]
    for channel in inward:
        assert any(topic_matches(channel.filter(), topic) for topic in INWARD), channel.name


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from(INWARD), PAYLOADS), min_size=1, max_size=8))
def test_nothing_sent_is_dropped_and_nothing_stops(
    andon: Andon, messages: list[tuple[str, bytes]]
) -> None:
    before = sum(ledger_counts(andon))
    with listening(andon.port, "andon/answer/ask/after") as client:
        for topic, payload in messages:
            client.publish(topic, payload)
        client.publish("andon/ask/after", "E005?")
        client.next(lambda m: not m.retain)
    deadline = time.monotonic() + SOON_S
    while sum(ledger_counts(andon)) < before + len(messages) + 1:
        assert time.monotonic() < deadline, "not all of them are in the ledger"
        time.sleep(0.02)


def test_the_services_are_the_ones_that_were_started(andon: Andon) -> None:
    assert "is started again" not in andon.said()
    shutil.copy(andon.data / "ledger.db", andon.data / "copy.db")
    with sqlite3.connect(andon.data / "copy.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
