"""Old rows leave the ledger for a file: all of them, once, and nothing else."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.answers import Answer, Feedback
from schemas.errors import RejectedEvent
from schemas.faults import Alarm, Fault
from schemas.generation import Generate, Generated, PromptPassage
from services.orchestrator import history, made
from services.orchestrator.alarms import Standing
from services.orchestrator.board import Changes
from services.orchestrator.grounding import ground
from services.orchestrator.housekeeping import Housekeeping
from services.orchestrator.ledger import Ledger
from services.orchestrator.records import (
    Deeds,
    Entry,
    Outgoing,
    Refusal,
    Work,
    as_received,
)
from services.orchestrator.templates import Prompt, Template
from services.orchestrator.written import Bearing
from services.player import Player
from services.runtime.clock import stamp
from services.runtime.errors import Retryable
from services.runtime.process import Health

pytestmark = pytest.mark.integration

NOTHING = Changes({}, {})
NOW = datetime(2026, 6, 15, 3, 30, tzinfo=UTC)
OLD = NOW - timedelta(days=100)
YOUNG = NOW - timedelta(days=10)


def keeper(ledger: Ledger, folder: Path, *, history_days: int = 0) -> Housekeeping:
    return Housekeeping(
        ledger.database,
        folder / "history",
        keep_days=90,
        history_days=history_days,
        quiet=lambda: True,
        health=Health(),
    )


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(folder / "ledger.db")
    try:
        yield ledger
    finally:
        await ledger.close()


def fault(code: str, at: datetime, payload: bytes, state: Any = "active") -> tuple[Entry, Standing]:
    when = stamp(at)
    message = Fault(
        asset="plant/m1",
        code=code,
        question=f"Fault {code}",
        lang="en",
        topic="plant/m1/fault",
        received=when,
    )
    work = Work(
        answer_id=f"answer-{code}",
        place="plant/m1",
        asset="plant/m1",
        code=code,
        question=f"Fault {code}",
        lang="en",
        priority="warning",
        trace="t" * 32,
        first_seen=when,
        last_seen=when,
    )
    alarm = Alarm(
        code=code,
        state=state,
        priority="warning",
        occurrences=1,
        first_seen=when,
        last_seen=when,
        chattering=False,
        answer_id=work.answer_id,
    )
    standing = Standing(
        asset="plant/m1", key=code, alarm=alarm, seen_at=at.timestamp(), turns=(at.timestamp(),)
    )
    entry = Entry(message.topic, message, when, "t" * 32, deeds=Deeds(works=[(work, False)]))
    [received] = as_received([entry], payload)
    return received, standing


async def fill(
    ledger: Ledger, at: datetime, codes: list[str], *, close: bool = True, state: Any = "cleared"
) -> None:
    """Accept faults of a day and answer them, all as if it were that day."""
    told = [fault(code, at, json.dumps({"code": code}).encode(), state) for code in codes]
    changes = Changes({(s.asset, s.key): s for _, s in told}, {})
    await ledger.accept([entry for entry, _ in told], [], changes, deadline_s=60)
    async with ledger.database.transaction() as db:
        names = json.dumps([f"answer-{code}" for code in codes])
        await db.execute(
            "UPDATE job SET received_at = ? WHERE answer_id IN (SELECT value FROM json_each(?))",
            (at.timestamp(), names),
        )
    if not close:
        return
    jobs = await ledger.claim(len(codes), lease_s=60)
    answers = [
        Answer(
            id=job.work.answer_id,
            stage="final",
            asset=job.work.asset,
            code=job.work.code,
            question=job.work.question,
            lang="en",
            summary="check the mains " * 40,
            text="check the mains " * 40,
            answered_by="extract",
            first_seen=job.work.first_seen,
            last_seen=job.work.last_seen,
            created=stamp(at + timedelta(seconds=1)),
        )
        for job in jobs
    ]
    await ledger.answer(jobs[0], answers[0], [Outgoing(topic="a", payload=b"x")], done=True)
    async with ledger.database.transaction() as db:  # the others in one commit: it is faster
        await db.executemany(
            "INSERT INTO answer (id, answer_id, place, stage, body, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (job.id, a.id, "plant/m1", a.stage, msgspec.json.encode(a), a.created)
                for job, a in zip(jobs[1:], answers[1:], strict=True)
            ],
        )
        await db.execute("UPDATE job SET state = 'done' WHERE state = 'working'")
    await ledger.sent([o.id for o in await ledger.outbox(0, 10_000)])


def exported(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for path in sorted((folder / "history").glob("*.jsonl.gz")):
        rows += map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
    return rows


async def rows(ledger: Ledger, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await ledger.database.fetch(f"SELECT * FROM {table}")]  # noqa: S608


async def numbers(ledger: Ledger) -> dict[str, int]:
    tables = ("event", "job", "answer", "feedback", "rejected", "alarm", "leaving")
    return {table: len(await rows(ledger, table)) for table in tables}


async def test_old_rows_are_exported_and_gone_and_young_ones_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for at, name in ((OLD, "o"), (YOUNG, "y")):
            await fill(ledger, at, [f"{name}1", f"{name}2"])
            told = Feedback(helpful=True)
            about = Entry("andon/feedback/x", told, stamp(at), answer_id=f"answer-{name}1")
            refused = RejectedEvent(
                topic="plant/m1/fault", reason="r", head="\ufffd", size=3, received=stamp(at)
            )
            await ledger.accept([about], [Refusal(refused)], NOTHING, deadline_s=60)
        assert await keeper(ledger, tmp_path).once(NOW) == 3 + 2 + 2 + 1 + 1
        assert await numbers(ledger) == {
            "event": 3,
            "job": 2,
            "answer": 2,
            "feedback": 1,
            "rejected": 1,
            "alarm": 4,
            "leaving": 0,
        }
        assert all(row["received"] == stamp(YOUNG) for row in await rows(ledger, "event"))
        assert await ledger.database.fetch("PRAGMA foreign_key_check") == []
        # Nothing is old any more, and no empty file is made of that.
        assert await keeper(ledger, tmp_path).once(NOW) == 0
    [path] = (tmp_path / "history").iterdir()
    assert path.name == "ledger-2026-03-07-2026-03-17.jsonl.gz"
    kept = exported(tmp_path)
    counted = Counter(row["table"] for row in kept)
    assert counted == {"event": 3, "job": 2, "answer": 2, "feedback": 1, "rejected": 1}
    event = next(row for row in kept if row["table"] == "event")
    assert event["payload"] == '{"code": "o1"}'
    assert event["body"]["code"] == "o1"
    assert event["received"] == stamp(OLD)
    played = [message for _, message in Player(speed=0).messages(path)]
    assert [(m.topic, m.payload) for m in played] == [
        ("plant/m1/fault", b'{"code": "o1"}'),
        ("plant/m1/fault", b'{"code": "o2"}'),
    ]
    answer = next(row for row in kept if row["table"] == "answer")
    assert answer["body"]["summary"].startswith("check the mains")


async def test_open_work_and_answers_of_alarms_that_stand_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await fill(ledger, OLD, ["stands"], state="active")
        await fill(ledger, OLD, ["gone"])
        await fill(ledger, OLD, ["open"], close=False)
        await keeper(ledger, tmp_path).once(NOW)
        jobs = await rows(ledger, "job")
        assert [row["answer_id"] for row in jobs] == ["answer-stands", "answer-open"]
        assert [row["answer_id"] for row in await rows(ledger, "answer")] == ["answer-stands"]
        assert [row["id"] for row in await rows(ledger, "event")] == [r["id"] for r in jobs]
        # The alarm is cleared, the work done: now they leave, into a file of their own.
        async with ledger.database.transaction() as db:
            await db.execute("DELETE FROM alarm")
            await db.execute("UPDATE job SET state = 'failed' WHERE answer_id = 'answer-open'")
        assert await keeper(ledger, tmp_path).once(NOW) == 5
        assert (await numbers(ledger))["event"] == 0
    assert len(list((tmp_path / "history").iterdir())) == 2
    ids = [row["id"] for row in exported(tmp_path) if row["table"] == "event"]
    assert sorted(ids) == [1, 2, 3]


@pytest.mark.parametrize("where", ["seal", "publish", "after publish", "first", "third"])
async def test_a_crash_loses_nothing_and_exports_nothing_twice(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [f"c{n}" for n in range(700)]
    async with opened(tmp_path) as ledger:
        await fill(ledger, OLD, codes)
        await fill(ledger, YOUNG, ["y"])

    class Crash(BaseException):
        pass

    real, steps = history.Writer.publish, iter(range(1, 100))

    def crash(*_: Any) -> Any:
        raise Crash

    def after(writer: history.Writer, name: str) -> Path:
        real(writer, name)
        raise Crash

    def take(found: Any) -> Any:
        if next(steps) == {"first": 1, "third": 3}[where]:
            raise Crash
        return original(found)

    from services.orchestrator import housekeeping

    original = housekeeping._take
    with monkeypatch.context() as patch:
        if where in {"seal", "publish"}:
            patch.setattr(history.Writer, where, crash)
        elif where == "after publish":
            patch.setattr(history.Writer, "publish", after)
        else:
            patch.setattr(housekeeping, "_take", take)
        async with opened(tmp_path) as ledger:
            with pytest.raises(Crash):
                await keeper(ledger, tmp_path).once(NOW)
            left = await numbers(ledger)
            assert left["answer"] == (201 if where == "third" else 701)
    async with opened(tmp_path) as ledger:
        # A day later, when more is old.
        await keeper(ledger, tmp_path).once(NOW + timedelta(days=1))
        assert await numbers(ledger) == {
            "event": 1,
            "job": 1,
            "answer": 1,
            "feedback": 0,
            "rejected": 0,
            "alarm": 701,
            "leaving": 0,
        }
    files = list((tmp_path / "history").iterdir())
    assert len(files) == 1
    counted = Counter((row["table"], row.get("answer_id")) for row in exported(tmp_path))
    assert {counted["job", f"answer-{code}"] for code in codes} == {1}
    assert {counted["answer", f"answer-{code}"] for code in codes} == {1}
    assert counted["event", None] == 700


def making(number: int, at: datetime) -> made.Record:
    """What an answer of that day was made with."""
    text = "{% block system %}s{% endblock %}{% block question %}{{ question }}{% endblock %}"
    asked = Generate(
        id="a.1",
        system="s",
        question="q",
        passages=[PromptPassage(n=1, source="FD40, p. 41", text="欠压 " * 300)],
        lang="en",
    )
    got = Generated(summary="s", causes=[], actions=[], model="tiny", passages_used=1)
    prompt = Prompt("fault.en", 3, Template(text))
    making = made.made(
        prompt,
        asked,
        got,
        ground(got, asked.passages),
        generation=7,
        bears=Bearing([], None),
        least=0.5,
    )
    return dataclasses.replace(made.packed(number, making), created=stamp(at))


async def test_what_an_answer_was_made_with_leaves_with_the_last_that_shares_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as ledger:
        await fill(ledger, OLD, ["o1", "o2"])
        await fill(ledger, YOUNG, ["y"])
        async with ledger.database.transaction() as db:
            for record, codes in (
                (making(1, OLD), "o1 o2"),
                (making(2, OLD), "y"),
                (making(3, OLD), ""),
                (making(4, YOUNG), ""),
            ):
                row = (record.id, record.body, record.request, record.created)
                await db.execute("INSERT INTO made VALUES (?, ?, ?, ?)", row)
                for code in codes.split():
                    await db.execute(
                        "UPDATE answer SET made = ? WHERE answer_id = ?",
                        (record.id, f"answer-{code}"),
                    )
        assert await keeper(ledger, tmp_path).once(NOW) == 2 + 2 + 2 + 2
        left = [(row["id"], row["created"]) for row in await rows(ledger, "made")]
        assert left == [(2, stamp(OLD)), (4, stamp(YOUNG))], "2 is of an answer that stays"
        assert await keeper(ledger, tmp_path).once(NOW) == 0
    kept = [row for row in exported(tmp_path) if row["table"] == "made"]
    assert sorted(row["id"] for row in kept) == [1, 3], "each once"
    assert kept[0]["request"]["passages"][0]["text"].startswith("欠压"), "to be read by people"
    assert kept[0]["body"]["prompt"] == "fault.en@3"


async def test_what_changed_after_the_export_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await fill(ledger, OLD, ["a", "b"])
        house = keeper(ledger, tmp_path)
        name = await house._export(NOW - timedelta(days=90))
        async with ledger.database.transaction() as db:
            await db.execute("UPDATE job SET state = 'due' WHERE answer_id = 'answer-a'")
        await house._remove(name)
        assert [row["answer_id"] for row in await rows(ledger, "job")] == ["answer-a"]
        assert [row["id"] for row in await rows(ledger, "event")] == [1]


async def test_a_number_given_again_does_not_take_the_young_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await fill(ledger, OLD, ["a"])
        house = keeper(ledger, tmp_path)
        name = await house._export(NOW - timedelta(days=90))
        await house._remove(name)
    async with opened(tmp_path) as ledger:
        await fill(ledger, YOUNG, ["b"])
        assert [row["id"] for row in await rows(ledger, "event")] == [1]
        assert await keeper(ledger, tmp_path)._remove(name) == 0
        assert (await numbers(ledger))["job"] == 1


async def test_the_file_shrinks_and_the_log_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with opened(tmp_path) as ledger:
        await fill(ledger, OLD, [f"c{n}" for n in range(1500)])
        await ledger.database.checkpoint("TRUNCATE")
        before = path.stat().st_size
        await keeper(ledger, tmp_path).once(NOW)
        assert path.stat().st_size < before / 4
        assert path.with_name("ledger.db-wal").stat().st_size == 0
        assert [r[0] for r in await ledger.database.fetch("PRAGMA integrity_check")] == ["ok"]
    assert len(exported(tmp_path)) == 4500


async def test_old_exports_are_deleted_where_that_is_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    folder.mkdir()
    names = [
        "ledger-2024-01-01-2024-01-02.jsonl.gz",
        "ledger-2024-01-01-2024-01-02-2.jsonl.gz",
        "ledger-2026-06-01-2026-06-02.jsonl.gz",
        "notes.jsonl.gz",
    ]
    for name in names:
        (folder / name).touch()
    async with opened(tmp_path) as ledger:
        await keeper(ledger, tmp_path).once(NOW)
        assert sorted(p.name for p in folder.iterdir()) == sorted(names)
        await keeper(ledger, tmp_path, history_days=365).once(NOW)
    assert sorted(p.name for p in folder.iterdir()) == names[2:]


async def test_a_folder_that_cannot_be_written_costs_nothing_but_a_reason(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("not a folder")
    async with opened(tmp_path) as ledger:
        await fill(ledger, OLD, ["a"])
        with pytest.raises(Retryable, match=r"history.*look at the disk"):
            await keeper(ledger, tmp_path).once(NOW)
        assert (await numbers(ledger))["event"] == 1


async def test_a_payload_that_is_not_text_is_kept_as_it_came(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        entry, _ = fault("a", OLD, b"\xff\x00")
        await ledger.accept([entry], [], NOTHING, deadline_s=60)
        async with ledger.database.transaction() as db:
            await db.execute("UPDATE job SET state = 'failed', received_at = 1")
            await db.execute("DELETE FROM alarm")
        await keeper(ledger, tmp_path).once(NOW)
    [event] = [row for row in exported(tmp_path) if row["table"] == "event"]
    assert event["payload_base64"] == "/wA="


@pytest.mark.parametrize("seed", range(12))
async def test_a_damaged_file_is_set_aside_and_takes_no_row_with_it(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    path = tmp_path / "history" / "ledger-2026-01-01-2026-01-02.jsonl.gz"
    path.parent.mkdir()
    async with opened(tmp_path) as ledger:
        await fill(ledger, YOUNG, ["E1", "E2"])
        before = await numbers(ledger)
        with gzip.open(path, "wb") as file:  # as a crash leaves it: the ledger still has its rows
            for table in ("event", "job", "rejected"):
                for row in await rows(ledger, table):
                    file.write(history.line(table, row))
            file.write(
                history.line("rejected", {"id": 10**6, "reason": chance.randbytes(900).hex()})
            )
        damaged = bytearray(path.read_bytes())
        at = chance.randrange(20, len(damaged) - 8)
        damaged[at : at + 8] = chance.randbytes(8)
        path.write_bytes(damaged)
        async with ledger.database.transaction() as db:
            await db.execute("INSERT INTO leaving VALUES (?)", (path.name,))
        health = Health()
        keeping = Housekeeping(
            ledger.database, path.parent, keep_days=90, history_days=0, quiet=lambda: True,
            health=health,
        )  # fmt: skip
        assert await keeping.once(NOW) == 0
        assert await rows(ledger, "leaving") == []
        assert await numbers(ledger) == before
    aside = Path(f"{path}.damaged")
    assert aside.read_bytes() == damaged  # noqa: ASYNC240
    assert str(aside) in health.reason
