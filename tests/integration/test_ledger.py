"""The ledger on a real file: what is committed is there, once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.answers import Answer, Ask
from services.orchestrator.ledger import Copy, Entry, Ledger, Outgoing, Work

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


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(tmp_path / "ledger.db")
    yield opened
    await opened.close()


async def test_urgent_work_comes_first_and_is_claimed_once(ledger: Ledger) -> None:
    batch = [entry("a", "advice"), entry("w"), entry("c", "critical"), entry("w2")]
    await ledger.accept(batch, [], deadline_s=60)
    jobs = await ledger.claim(3, lease_s=30)
    assert [job.work.answer_id for job in jobs] == ["c", "w", "w2"]
    assert jobs[0].work.copies == [Copy(topic="x/y", correlation=b"\x00\xff")]
    assert [job.work.answer_id for job in await ledger.claim(9, lease_s=30)] == ["a"]
    assert await ledger.claim(9, lease_s=30) == []


async def test_the_same_question_delivered_twice_is_answered_once(ledger: Ledger) -> None:
    await ledger.accept([entry("q1")], [], deadline_s=60)
    await ledger.accept([entry("q1"), entry("q1", place="ask/b")], [], deadline_s=60)
    assert len(await ledger.claim(9, lease_s=30)) == 2


async def test_an_id_used_again_is_answered_again(ledger: Ledger) -> None:
    await ledger.accept([entry("1")], [], deadline_s=60)
    [job] = await ledger.claim(9, lease_s=30)
    await ledger.accept([entry("1")], [], deadline_s=60)
    assert await ledger.claim(9, lease_s=30) == [], "the same words, and in work"
    await ledger.accept([entry("1", question="and why that?")], [], deadline_s=60)
    await ledger.answer(job, answer("1"), [], done=True)
    [other] = await ledger.claim(9, lease_s=30)
    assert other.work.question == "and why that?"
    await ledger.answer(other, answer("1"), [], done=True)
    await ledger.accept([entry("1")], [], deadline_s=60)
    assert len(await ledger.claim(9, lease_s=30)) == 1


async def test_what_cannot_leave_is_set_aside_with_its_reason(ledger: Ledger) -> None:
    await ledger.accept([entry("a")], [], deadline_s=60)
    [job] = await ledger.claim(1, lease_s=30)
    out = [Outgoing(topic="bad", payload=b"\xff"), Outgoing(topic="good", payload=b"1")]
    await ledger.answer(job, answer("a"), out, done=True)
    await ledger.set_aside((await ledger.outbox(0))[0], "because")
    assert [message.topic for message in await ledger.outbox(0)] == ["good"]
    assert (await ledger.counts())["rejected"] == 1


async def test_work_whose_lease_ran_out_or_whose_process_died_is_taken_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    await ledger.accept([entry("a"), entry("b")], [], deadline_s=60)
    [first] = await ledger.claim(1, lease_s=-1)
    [again] = await ledger.claim(1, lease_s=30)
    assert (again.id, again.attempts) == (first.id, 2)
    other = await Ledger.open(tmp_path / "ledger.db")
    assert await other.release() == 1
    assert len(await other.claim(9, lease_s=30)) == 2
    await other.close()


async def test_an_answer_and_its_messages_are_one_commit(ledger: Ledger) -> None:
    await ledger.accept([entry("a")], [], deadline_s=60)
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
    await ledger.accept([entry("a")], [], deadline_s=60)
    [job] = await ledger.claim(1, lease_s=30)
    await ledger.answer(job, answer("a"), [], done=True, failed="because")
    assert await ledger.claim(1, lease_s=30) == []
    assert (await ledger.counts())["jobs_failed"] == 1


async def test_many_writers_at_once_lose_nothing(ledger: Ledger) -> None:
    await asyncio.gather(
        *(
            ledger.accept([entry(f"{n}-{i}") for i in range(5)], [], deadline_s=60)
            for n in range(20)
        )
    )
    assert (await ledger.counts())["jobs_open"] == 100
