"""The ledger on a real file: what is committed is there, once, in order."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from schemas.answers import Answer, Ask, Timings
from schemas.faults import Alarm
from services.orchestrator.again import Stands
from services.orchestrator.alarms import Standing
from services.orchestrator.board import Changes
from services.orchestrator.floods import Area
from services.orchestrator.ledger import MIGRATIONS, Ledger
from services.orchestrator.records import Again, Copy, Deeds, Entry, Outgoing, Work

pytestmark = pytest.mark.integration

NOW = "2026-01-31T12:00:00.000Z"


def entry(
    answer_id: str, priority: Any = "warning", place: str = "ask/a", question: str = "why?"
) -> Entry:
    work = Work(
        answer_id=answer_id,
        place=place,
        asset=None,
        code="",
        question=question,
        lang="en",
        priority=priority,
        trace="t" * 32,
        copies=[Copy(topic="x/y", correlation=b"\x00\xff")],
        first_seen=NOW,
        last_seen=NOW,
    )
    return Entry("andon/ask/a", Ask(question="why?"), NOW, "t" * 32, work=work)


def answer(answer_id: str, stage: Any = "final") -> Answer:
    return Answer(
        id=answer_id,
        stage=stage,
        asset=None,
        code="",
        question="why?",
        lang="en",
        summary="s",
        text="s",
        answered_by="none",
        first_seen=NOW,
        last_seen=NOW,
        created=NOW,
    )


NOTHING = Changes({}, {})
STANDS = Stands()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(tmp_path / "ledger.db")
    yield opened
    await opened.close()


async def test_urgent_work_comes_first_and_is_claimed_once(ledger: Ledger) -> None:
    batch = [entry("a", "advice"), entry("w"), entry("c", "critical"), entry("w2")]
    await ledger.accept(batch, [], NOTHING, deadline_s=60)
    jobs = await ledger.claim(3, lease_s=30)
    assert [job.work.answer_id for job in jobs] == ["c", "w", "w2"]
    assert jobs[0].work.copies == [Copy(topic="x/y", correlation=b"\x00\xff")]
    assert [job.work.answer_id for job in await ledger.claim(9, lease_s=30)] == ["a"]
    assert await ledger.claim(9, lease_s=30) == []


async def test_the_same_question_delivered_twice_is_answered_once(ledger: Ledger) -> None:
    await ledger.accept([entry("q1")], [], NOTHING, deadline_s=60)
    await ledger.accept([entry("q1"), entry("q1", place="ask/b")], [], NOTHING, deadline_s=60)
    assert len(await ledger.claim(9, lease_s=30)) == 2


async def test_an_id_used_again_is_answered_again(ledger: Ledger) -> None:
    await ledger.accept([entry("1")], [], NOTHING, deadline_s=60)
    [job] = await ledger.claim(9, lease_s=30)
    await ledger.accept([entry("1")], [], NOTHING, deadline_s=60)
    assert await ledger.claim(9, lease_s=30) == [], "the same words, and in work"
    await ledger.accept([entry("1", question="and why that?")], [], NOTHING, deadline_s=60)
    await ledger.answer(job, answer("1"), [], done=True)
    [other] = await ledger.claim(9, lease_s=30)
    assert other.work.question == "and why that?"
    await ledger.answer(other, answer("1"), [], done=True)
    await ledger.accept([entry("1")], [], NOTHING, deadline_s=60)
    assert len(await ledger.claim(9, lease_s=30)) == 1


async def test_what_cannot_leave_is_set_aside_with_its_reason(ledger: Ledger) -> None:
    await ledger.accept([entry("a")], [], NOTHING, deadline_s=60)
    [job] = await ledger.claim(1, lease_s=30)
    out = [Outgoing(topic="bad", payload=b"\xff"), Outgoing(topic="good", payload=b"1")]
    await ledger.answer(job, answer("a"), out, done=True)
    await ledger.set_aside((await ledger.outbox(0))[0], "because")
    assert [message.topic for message in await ledger.outbox(0)] == ["good"]
    assert (await ledger.counts())["rejected"] == 1


async def test_work_whose_lease_ran_out_or_whose_process_died_is_taken_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    await ledger.accept([entry("a"), entry("b")], [], NOTHING, deadline_s=60)
    [first] = await ledger.claim(1, lease_s=-1)
    assert await ledger.release(all_of_it=False) == 1
    [again] = await ledger.claim(1, lease_s=30)
    assert (again.id, again.attempts) == (first.id, 2)
    other = await Ledger.open(tmp_path / "ledger.db")
    assert await other.release(all_of_it=True) == 0, "begun, and not on the disk: still due"
    await ledger.settle()
    assert await other.release(all_of_it=True) == 1
    assert len(await other.claim(9, lease_s=30)) == 2
    await other.close()


async def test_an_answer_and_its_messages_are_one_commit(ledger: Ledger) -> None:
    await ledger.accept([entry("a")], [], NOTHING, deadline_s=60)
    [job] = await ledger.claim(1, lease_s=30)
    out = [
        Outgoing(topic="t/1", payload=b"1", retain=True, content_type="a/b", trace="c"),
        Outgoing(topic="t/2", payload=b"\x00", correlation=b"\xff"),
    ]
    await ledger.answer(job, answer("a", "passages"), out, done=False)
    await ledger.answer(job, answer("a"), out[:1], done=True)
    waiting = await ledger.outbox(0)
    assert [(o.topic, o.payload, o.retain, o.correlation) for o in waiting] == [
        ("t/1", b"1", True, None),
        ("t/2", b"\x00", False, b"\xff"),
        ("t/1", b"1", True, None),
    ]
    await ledger.sent([waiting[0].id, waiting[1].id])
    assert [o.id for o in await ledger.outbox(0)] == [waiting[2].id]
    assert (await ledger.counts())["jobs_open"] == 0
    assert (await ledger.counts())["outbox"] == 1


async def test_a_failed_job_keeps_its_reason(ledger: Ledger) -> None:
    await ledger.accept([entry("a")], [], NOTHING, deadline_s=60)
    [job] = await ledger.claim(1, lease_s=30)
    await ledger.answer(job, answer("a"), [], done=True, failed="because")
    assert await ledger.claim(1, lease_s=30) == []
    assert (await ledger.counts())["jobs_failed"] == 1


async def test_many_writers_at_once_lose_nothing(ledger: Ledger) -> None:
    await asyncio.gather(
        *(
            ledger.accept([entry(f"{n}-{i}") for i in range(5)], [], NOTHING, deadline_s=60)
            for n in range(20)
        )
    )
    assert (await ledger.counts())["jobs_open"] == 100


def alarm(occurrences: int = 3, priority: Any = "warning") -> Alarm:
    return Alarm(
        code="E1",
        state="active",
        priority=priority,
        occurrences=occurrences,
        first_seen=NOW,
        last_seen=NOW,
        chattering=False,
        answer_id="a",
    )


async def do(ledger: Ledger, **deeds: Any) -> None:
    await ledger.accept([], [], NOTHING, deadline_s=60, deeds=[Deeds(**deeds)])


async def given(ledger: Ledger, generation: int | None, **parts: Any) -> None:
    """Give the answer to the one job that is due."""
    [job] = await ledger.claim(9, lease_s=30)
    told = replace(answer(job.work.answer_id), **parts)
    await ledger.answer(job, told, [], done=True, generation=generation)


async def again(ledger: Ledger, standing: Stands = STANDS, **parts: Any) -> list[Outgoing]:
    """Repeat an alarm; return what goes out because of it."""
    one = Again("ask/a", "a", alarm(occurrences=7), **parts)
    await ledger.accept(
        [], [], NOTHING, deadline_s=60, deeds=[Deeds(again=[one, one])], standing=standing
    )
    got = await ledger.outbox(0)
    await ledger.sent([message.id for message in got])
    return got


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
async def test_a_ledger_of_an_earlier_version_goes_on(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as old:
        scripts = "".join(MIGRATIONS[:version])
        old.executescript(f"{scripts}; PRAGMA user_version = {version};")
        old.execute(
            "INSERT INTO answer (id, answer_id, place, stage, body, created)"
            " VALUES (7, 'a', 'plant/m', 'final', '{}', ?)",
            (NOW,),
        )
        old.commit()
    ledger = await Ledger.open(path)
    try:
        await ledger.accept([entry("b")], [], NOTHING, deadline_s=60)
        assert len(await ledger.claim(9, lease_s=30)) == 1
        row = await ledger.database.first("SELECT body, generation, made FROM answer")
        assert row is not None
        assert tuple(row) == ("{}", None, None)
    finally:
        await ledger.close()
    with closing(sqlite3.connect(path)) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


async def test_an_answer_that_stands_goes_out_again_and_is_no_work(ledger: Ledger) -> None:
    await ledger.accept([entry("a")], [], NOTHING, deadline_s=60)
    assert await again(ledger) == [], "it is open"
    await given(ledger, 7)
    told, shown, copy = await again(ledger)
    assert msgspec.json.decode(told.payload, type=Answer).occurrences == 7
    assert [m.topic for m in (told, shown, copy)] == [
        "andon/answer/ask/a",
        "andon/display/ask/a",
        "x/y",
    ]
    assert (told.retain, shown.retain, copy.correlation) == (True, True, b"\x00\xff")
    told, copy = await again(ledger, stands=False)
    assert not told.retain
    assert await ledger.claim(9, lease_s=30) == []


@pytest.mark.parametrize(
    ("kept", "answered", "standing", "stands"),
    [
        (7, {}, Stands(generation=7), True),
        (7, {}, Stands(), True),
        (7, {}, Stands(generation=8), False),
        (None, {}, Stands(), False),
        (7, {"answered_by": "extract"}, Stands(anew_before=NOW), True),
        (7, {"answered_by": "extract"}, Stands(anew_before="2026-02"), False),
        (7, {"answered_by": "model"}, Stands(anew_before="2026-02"), True),
        (7, {"answered_by": "extract", "timings_ms": Timings(model=9)}, Stands(), True),
    ],
)
async def test_an_answer_stands_until_the_manual_changes(
    ledger: Ledger, kept: int | None, answered: Any, standing: Stands, stands: bool
) -> None:
    await ledger.accept([entry("a")], [], NOTHING, deadline_s=60)
    await given(ledger, kept, **answered)
    assert bool(await again(ledger, standing)) == stands
    assert len(await ledger.claim(9, lease_s=30)) == (not stands)


async def test_work_that_is_lost_is_made_again_by_the_next_report(ledger: Ledger) -> None:
    await ledger.accept([entry("a")], [], NOTHING, deadline_s=60)
    [lost] = await ledger.claim(9, lease_s=30)
    async with ledger.database.transaction() as db:
        await db.execute("DELETE FROM job")
    one = Again("ask/a", "a", alarm(occurrences=7), work=lost.work)
    report = Entry("t", Ask(question="why?"), NOW, deeds=Deeds(again=[one, one]))
    await ledger.accept([report], [], NOTHING, deadline_s=60)
    [made] = await ledger.claim(9, lease_s=30)
    assert made.work == lost.work


async def test_escalation_and_the_first_out_change_the_order_of_open_work(ledger: Ledger) -> None:
    await ledger.accept([entry(name) for name in "abcd"], [], NOTHING, deadline_s=60)
    await do(
        ledger,
        urgent=[("ask/a", "d", alarm(priority="critical"))],
        fronts=[("ask/a", "c"), ("ask/a", "nobody")],
    )
    jobs = await ledger.claim(9, lease_s=30)
    assert [job.work.answer_id for job in jobs] == ["d", "c", "a", "b"]


async def test_alarms_and_areas_are_remembered_and_forgotten(ledger: Ledger) -> None:
    standing = Standing(asset="plant/m1", key="E1", alarm=alarm(), seen_at=5.0, turns=(5.0,))
    changes = Changes({("plant/m1", "E1"): standing}, {"plant": Area(area="plant")})
    await ledger.accept([], [], changes, deadline_s=60)
    assert await ledger.standings() == [standing]
    assert await ledger.areas() == [Area(area="plant")]
    gone = Changes({("plant/m1", "E1"): None}, {"plant": None})
    await ledger.accept([], [], gone, deadline_s=60)
    assert (await ledger.standings(), await ledger.areas()) == ([], [])


async def test_every_transition_of_a_job_is_recorded(ledger: Ledger, tmp_path: Path) -> None:
    await ledger.accept([entry("a")], [], NOTHING, deadline_s=60)
    [job] = await ledger.claim(1, lease_s=-1)
    await ledger.release(all_of_it=False)
    [job] = await ledger.claim(1, lease_s=30)
    await ledger.answer(job, answer("a"), [], done=True)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        [(history,)] = db.execute("SELECT history FROM job").fetchall()
    rows = json.loads(history)
    assert [state for state, _ in rows] == ["due", "working", "due", "working", "done"]
    times = [at for _, at in rows]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 3600, "seconds since 1970"
