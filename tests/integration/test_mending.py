"""A damaged ledger: what goes on of it is a ledger that can be worked with."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.answers import Answer, Ask
from schemas.faults import Alarm
from schemas.generation import Generate, Generated
from schemas.prompts import SavePrompt
from services.orchestrator import history, made
from services.orchestrator.alarms import Standing
from services.orchestrator.board import Changes
from services.orchestrator.floods import Area
from services.orchestrator.grounding import ground
from services.orchestrator.housekeeping import Housekeeping
from services.orchestrator.ledger import Ledger
from services.orchestrator.mending import LEDGER
from services.orchestrator.records import Deeds, Entry, Outgoing, Work
from services.orchestrator.versions import Versions
from services.orchestrator.written import Bearing
from services.runtime.process import Health
from services.runtime.salvage import mend
from tests.support.damage import PAGE, is_sound

pytestmark = pytest.mark.integration

NOW = "2026-01-31T12:00:00.000Z"
SEEN = {"first_seen": NOW, "last_seen": NOW}
STANDING = Standing(
    asset="plant/m1",
    key="E1",
    alarm=Alarm(
        code="E1",
        state="active",
        priority="warning",
        occurrences=1,
        chattering=False,
        answer_id="n1",
        **SEEN,
    ),
    seen_at=5.0,
    turns=(5.0,),
)


def entry(number: int) -> Entry:
    work = Work(
        answer_id=f"n{number}",
        place="ask/a",
        asset=None,
        code="",
        question="why?",
        lang="en",
        priority="warning",
        trace="",
        **SEEN,
    )
    told = Deeds(outgoing=[Outgoing(topic=f"t/{number}", payload=b"\xff")])
    return Entry("andon/ask/a", Ask(question="why?"), NOW, work=work, deeds=told)


def answer(answer_id: str) -> Answer:
    return Answer(
        id=answer_id,
        stage="final",
        asset=None,
        code="",
        question="why?",
        lang="en",
        summary="s",
        text="s",
        answered_by="none",
        created=NOW,
        **SEEN,
    )


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A ledger of ten questions, the last five of them answered."""
    at = tmp_path / "ledger.db"
    ledger = await Ledger.open(at)
    changes = Changes({("plant/m1", "E1"): STANDING}, {"plant": Area(area="plant")})
    await ledger.accept([entry(n) for n in range(1, 11)], [], changes, deadline_s=60)
    for job in (await ledger.claim(10, lease_s=30))[5:]:
        await ledger.answer(job, answer(job.work.answer_id), [], done=True)
    await ledger.release(all_of_it=True)
    await ledger.close()
    return at


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            assert db.execute(statement).rowcount > 0
        db.commit()


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def lose_the_end_of_the_schema(path: Path) -> None:
    data = bytearray(path.read_bytes())
    [(size,)] = rows(path, "PRAGMA page_size")
    begun = [at for at in range(size, len(data), size) if b"CREATE TABLE" in data[at : at + size]]
    assert begun, "the first page alone holds the schema"
    data[begun[0] : begun[0] + size] = b"\xff" * size
    path.write_bytes(data)


async def with_the_model(path: Path) -> None:
    """Give question 10 an answer of the model's, and prompts of people's own."""
    ledger = await Ledger.open(path)
    versions = await Versions.open(ledger.database)
    for name in ("one", "two"):
        question = "{% block question %}{{ question }}{% endblock %}"
        text = f"{{% block system %}}{name}{{% endblock %}}{question}"
        await versions.save(SavePrompt(name="ask.en", text=text, activate=True))
    await ledger.accept([entry(10)], [], Changes({}, {}), deadline_s=60)
    [job] = [j for j in await ledger.claim(99, lease_s=30) if j.work.answer_id == "n10"]
    asked = Generate(id="n10.1", system="s", question="q", passages=[], lang="en")
    got = Generated(summary="s", causes=[], actions=[], model="m", passages_used=0)
    making = made.made(
        versions.active("ask.en"),
        asked,
        got,
        ground(got, []),
        generation=7,
        bears=Bearing([], None),
        least=0.5,
    )
    record = made.packed(ledger.number(), making)
    told = msgspec.structs.replace(answer("n10"), prompt="ask.en@2")
    await ledger.answer(job, told, [], done=True, record=record)
    await ledger.release(all_of_it=True)
    await ledger.close()


async def salvaged(path: Path) -> None:
    """Damage the first page, and mend."""
    with path.open("r+b") as file:
        file.write(bytes(PAGE))
    assert await mend(path, LEDGER, Health()) is not None
    assert is_sound(path)
    assert rows(path, "PRAGMA foreign_key_check") == []


async def test_nothing_is_lost_or_changed_with_the_first_page(path: Path) -> None:
    tables = ("event", "job", "answer", "alarm", "area", "outbox")
    before = {name: rows(path, f"SELECT * FROM {name}") for name in tables}  # noqa: S608
    assert all(before.values())
    assert max(len(json.loads(h)) for (h,) in rows(path, "SELECT history FROM job")) == 3
    await salvaged(path)
    assert {name: rows(path, f"SELECT * FROM {name}") for name in tables} == before  # noqa: S608
    assert rows(path, "PRAGMA auto_vacuum") == [(2,)], "it cannot be kept small any more"
    change(path, "UPDATE job SET state = 'working' WHERE id = 1")
    [(last,)] = rows(path, "SELECT json_extract(history, '$[#-1][0]') FROM job WHERE id = 1")
    assert last == "working", "its triggers are gone"


async def test_prompts_and_what_answers_were_made_with_go_on(path: Path) -> None:
    await with_the_model(path)
    tables = ("prompt", "activation", "shipped", "made", "answer")
    before = {name: rows(path, f"SELECT * FROM {name}") for name in tables}  # noqa: S608
    assert [len(before[name]) for name in tables] == [2, 2, 4, 1, 5]
    await salvaged(path)
    assert {name: rows(path, f"SELECT * FROM {name}") for name in tables} == before  # noqa: S608


async def test_a_version_without_its_text_and_an_answer_without_its_making(path: Path) -> None:
    await with_the_model(path)
    change(
        path,
        "UPDATE prompt SET body = x'ff' WHERE version = 2",
        "UPDATE made SET request = x'789c'",
    )
    await salvaged(path)
    assert rows(path, "SELECT made FROM answer WHERE answer_id = 'n10'") == [(None,)]
    ledger = await Ledger.open(path)
    try:
        versions = await Versions.open(ledger.database)
        assert versions.active("ask.en").template.system == "one", "the one before it answers"
    finally:
        await ledger.close()


async def test_a_job_without_its_event_is_answered_and_no_number_given_twice(path: Path) -> None:
    change(path, "DELETE FROM event WHERE id IN (1, 7, 10)", "DELETE FROM job WHERE id = 10")
    await salvaged(path)
    ledger = await Ledger.open(path)
    try:
        assert len(await ledger.claim(99, lease_s=30)) == 5
        await ledger.accept([entry(77)], [], Changes({}, {}), deadline_s=60)
        [job] = await ledger.claim(99, lease_s=30)
        assert job.id == 11, "the number of an answer that is kept"
        assert await ledger.standings() == [STANDING]
    finally:
        await ledger.close()


async def test_an_alarm_that_stands_and_lost_its_work_is_answered_anew(path: Path) -> None:
    lost = json.dumps({**msgspec.to_builtins(STANDING), "asset": "plant/m2"}).replace("n1", "gone")
    report = {"asset": "plant/m2", "code": "E1", "question": "What is E1?", "lang": "zh"}
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO alarm VALUES ('plant/m2', 'E1', ?)", (lost.encode(),))
        db.execute(
            "INSERT INTO event (id, kind, topic, body, received, trace)"
            " VALUES (11, 'fault', 't', ?, ?, '')",
            (json.dumps(report).encode(), NOW),
        )
        db.commit()
    await salvaged(path)
    ledger = await Ledger.open(path)
    try:
        works = {job.work.answer_id: job.work for job in await ledger.claim(99, lease_s=30)}
        work = works["gone"]
        assert (work.place, work.key, work.question) == ("plant/m2", "E1", "What is E1?")
        assert (work.lang, work.priority, work.occurrences) == ("zh", "warning", 1)
    finally:
        await ledger.close()


async def test_what_was_mended_leaves_for_the_history(path: Path, tmp_path: Path) -> None:
    change(path, "DELETE FROM event WHERE id IN (7, 10)", "DELETE FROM job WHERE id = 10")
    await salvaged(path)
    ledger = await Ledger.open(path)
    folder = tmp_path / "history"
    keeping = Housekeeping(
        ledger.database,
        folder,
        keep_days=1,
        history_days=0,
        quiet=lambda: True,
        health=Health(),
    )
    try:
        assert await keeping.once(datetime.now(UTC) + timedelta(days=30)) > 0
        assert len(await ledger.database.fetch("SELECT id FROM event")) == 5, "those in work"
    finally:
        await ledger.close()
    left = [row for file in folder.glob("*.gz") for row in history.read(file)]
    assert {row["id"] for row in left if row["table"] == "event"} == {6, 7, 8, 9, 10}


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("job", "UPDATE job SET body = '{' WHERE id = 10"),
        ("job", "UPDATE job SET history = 'x' WHERE id = 2"),
        ("job", "UPDATE job SET received_at = 1e300 WHERE id = 2"),
        ("event", "UPDATE event SET received = 'soon' WHERE id = 1"),
        ("answer", "UPDATE answer SET body = x'ff' WHERE id = 10"),
        ("area", "UPDATE area SET body = '[]'"),
        ("alarm", "UPDATE alarm SET body = '{}'"),
        ("outbox", "UPDATE outbox SET topic = x'ff' WHERE id = 1"),
    ],
)
async def test_a_row_that_would_stop_us_later_is_left_out(
    path: Path, table: str, statement: str
) -> None:
    count = f"SELECT count(*) FROM {table}"  # noqa: S608
    [(before,)] = rows(path, count)
    change(path, statement)
    await salvaged(path)
    # An event comes back as the little that its job tells of it.
    assert rows(path, count) == [(before - (table != "event"),)]


async def test_a_schema_that_lost_a_page_behind_the_first_is_brought_back(path: Path) -> None:
    lose_the_end_of_the_schema(path)
    await mend(path, LEDGER, Health())
    assert is_sound(path)
    assert rows(path, "SELECT count(*) FROM event") == [(10,)]
    assert rows(path, "SELECT state, count(*) FROM job GROUP BY 1") == [("done", 5), ("due", 5)]
    assert rows(path, "SELECT count(*) FROM outbox") == [(10,)]
