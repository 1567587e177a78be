"""The outbox on a real ledger: what is with the broker is not sent again, nor anything lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.orchestrator import ledger as ledger_module
from services.orchestrator import outbox as outbox_module
from services.orchestrator.board import Changes
from services.orchestrator.ledger import Ledger
from services.orchestrator.outbox import Outbox
from services.orchestrator.records import Deeds, Outgoing
from services.runtime.errors import DeadlineExceeded, Rejected, Retryable, Unavailable
from services.runtime.fake_bus import FakeBroker, FakeBus
from services.runtime.messages import Inbox
from services.runtime.process import Health

pytestmark = pytest.mark.integration

TOPICS = [f"t/{number}" for number in range(30)]


@pytest.fixture
async def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    # One message at a time, and each is to be forgotten at once: more tries than are suspicious.
    monkeypatch.setattr(ledger_module, "_GONE_MOST", 1)
    monkeypatch.setattr(outbox_module, "_BATCH", 1)
    monkeypatch.setattr(outbox_module, "_RETRY_S", 0.01)
    opened = await Ledger.open(tmp_path / "ledger.db")
    deeds = Deeds(outgoing=[Outgoing(topic=topic, payload=b"1") for topic in TOPICS])
    await opened.accept([], [], Changes({}, {}), deadline_s=60, deeds=[deeds])
    yield opened
    await opened.close()


async def read_only(ledger: Ledger, *, on: bool) -> None:
    """Let the file be as on a disk that became read-only."""
    await ledger.database._writer.execute(f"PRAGMA query_only={'ON' if on else 'OFF'}")


async def come(inbox: Inbox, count: int) -> list[str]:
    return [(await inbox.get()).topic for _ in range(count)]


async def test_a_disk_that_takes_no_note_holds_up_no_message_and_gives_none_up(
    ledger: Ledger,
) -> None:
    broker = FakeBroker()
    async with (
        asyncio.timeout(60),
        FakeBus(broker, "out", reply_topic="r/out") as bus,
        FakeBus(broker, "in", reply_topic="r/in") as other,
    ):
        inbox = await other.consume("t/+")
        await other.wait_connected()
        outbox = Outbox(ledger, bus)
        await read_only(ledger, on=True)
        running = asyncio.create_task(outbox.run())
        try:
            assert await come(inbox, len(TOPICS)) == TOPICS
            await outbox.drained()
            await read_only(ledger, on=False)
            more = Deeds(outgoing=[Outgoing(topic="t/last", payload=b"1")])
            await ledger.accept([], [], Changes({}, {}), deadline_s=60, deeds=[more])
            outbox.wake()
            assert await come(inbox, 1) == ["t/last"], "something was sent twice"
            await outbox.drained()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert (await ledger.counts())["rejected"] == 0, "given up for the disk's fault"
    assert await ledger.outbox(0) == []


async def test_what_the_broker_lost_does_not_hold_up_what_is_new(tmp_path: Path) -> None:
    many = 200
    ledger = await Ledger.open(tmp_path / "ledger.db")
    broker = FakeBroker()
    async with (
        asyncio.timeout(60),
        FakeBus(broker, "out", reply_topic="r/out") as bus,
        FakeBus(broker, "in", reply_topic="r/in") as other,
    ):
        inbox = await other.consume("t/+")
        await other.wait_connected()
        outbox = Outbox(ledger, bus, Health())
        came: list[str] = []

        async def lost(number: int) -> Outgoing | None:
            if number == 30:
                fault = Deeds(outgoing=[Outgoing(topic="t/new", payload=b"1")])
                await ledger.accept([], [], Changes({}, {}), deadline_s=60, deeds=[fault])
                outbox.wake()
            return None if number == 31 else Outgoing(topic=f"t/{number}", payload=b"1")

        running = asyncio.create_task(outbox.run())
        try:
            outbox.restore([partial(lost, number) for number in range(many)])
            while len(came) < many:
                came += await come(inbox, 1)
            await outbox.drained()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    await ledger.close()
    expected = [f"t/{number}" for number in range(many) if number != 31]
    assert [topic for topic in came if topic != "t/new"] == expected
    assert came.index("t/new") < 30 + outbox_module._RESTORED_AT_ONCE


async def test_what_a_broker_confirmed_just_before_its_end_is_sent_again_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_AWAY_S", 3600.0)
    monkeypatch.setattr(outbox_module, "_TIDY_S", 3600.0)
    broker = FakeBroker()

    async def last(topic: str) -> None:
        await outbox._idle.wait()  # else it may leave over the connection that is about to end
        more = Deeds(outgoing=[Outgoing(topic=topic, payload=b"1")])
        await ledger.accept([], [], Changes({}, {}), deadline_s=60, deeds=[more])
        broker.cut("out")
        outbox.wake()

    async with (
        asyncio.timeout(60),
        FakeBus(broker, "out", reply_topic="r/out") as bus,
        FakeBus(broker, "in", reply_topic="r/in") as other,
    ):
        inbox = await other.consume("t/+")
        await other.wait_connected()
        outbox = Outbox(ledger, bus)
        running = asyncio.create_task(outbox.run())
        try:
            assert await come(inbox, len(TOPICS)) == TOPICS
            await last("t/second")
            assert await come(inbox, len(TOPICS) + 1) == [*TOPICS, "t/second"]
            # What was sent twice is gone; a message that ends connections would be for ever else.
            await last("t/third")
            assert await come(inbox, 2) == ["t/second", "t/third"]
            await outbox.drained()
            await last("t/fourth")
            assert await come(inbox, 1) == ["t/fourth"], "the broker had it for long enough"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_what_a_lost_connection_may_not_have_delivered_goes_before_what_is_new(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_AWAY_S", 3600.0)
    broker = FakeBroker()
    read, was_cut = ledger.outbox, False

    async with (
        asyncio.timeout(60),
        FakeBus(broker, "out", reply_topic="r/out") as bus,
        FakeBus(broker, "in", reply_topic="r/in") as other,
    ):

        async def slow(after: int, limit: int = 100) -> list[Outgoing]:
            nonlocal was_cut
            found = await read(after, limit)
            if not was_cut and found[0].topic == TOPICS[3]:
                was_cut = True
                before = await bus.next_connection()
                broker.cut("out")
                await bus.next_connection(before)
            return found

        monkeypatch.setattr(ledger, "outbox", slow)
        inbox = await other.consume("t/+")
        await other.wait_connected()
        running = asyncio.create_task(Outbox(ledger, bus).run())
        try:
            assert await come(inbox, 3 + len(TOPICS)) == [*TOPICS[:3], *TOPICS]
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Troubled(FakeBus):
    """A bus on which publishing to some topics fails, as often as told."""

    failure: Exception
    left = 0
    topic = "t/"

    async def publish(self, topic: str, *given: Any, **options: Any) -> bool:
        if topic.startswith(self.topic) and self.left:
            self.left -= 1
            raise self.failure
        return await super().publish(topic, *given, **options)


@asynccontextmanager
async def sending(
    ledger: Ledger, failure: Exception, times: int, topic: str = "t/"
) -> AsyncIterator[tuple[Inbox, Outbox, Health]]:
    broker, health = FakeBroker(), Health()
    async with (
        asyncio.timeout(60),
        Troubled(broker, "out", reply_topic="r/out") as bus,
        FakeBus(broker, "in", reply_topic="r/in") as other,
    ):
        bus.failure, bus.left, bus.topic = failure, times, topic
        inbox = await other.consume("t/+")
        await other.wait_connected()
        outbox = Outbox(ledger, bus, health)
        running = asyncio.create_task(outbox.run())
        try:
            yield inbox, outbox, health
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def aside(ledger: Ledger) -> list[tuple[str, str]]:
    rows = await ledger.database.fetch("SELECT topic, reason FROM rejected")
    return [(row["topic"], row["reason"]) for row in rows]


@pytest.mark.parametrize("kind", [DeadlineExceeded, Unavailable])
async def test_a_slow_or_missing_broker_is_no_message_s_fault(
    ledger: Ledger, kind: type[Retryable]
) -> None:
    async with sending(ledger, kind("publish", "the test says so"), 40) as (inbox, _, _):
        assert await come(inbox, len(TOPICS)) == TOPICS
    assert await aside(ledger) == []


async def test_only_the_message_that_ends_connections_is_set_aside(ledger: Ledger) -> None:
    lost = Retryable("publish t/0", "the connection broke")
    async with sending(ledger, lost, 1000, topic="t/0") as (inbox, _, health):
        assert await come(inbox, len(TOPICS) - 1) == TOPICS[1:]
        assert "the broker does not take what is published on t/0" in health.reason
    assert [topic for topic, _ in await aside(ledger)] == ["t/0"]


async def test_what_the_broker_refuses_is_kept_and_told_until_it_takes_it(ledger: Ledger) -> None:
    refusal = Rejected("publish t/0", "not authorized (reason 135)")
    async with sending(ledger, refusal, 1, topic="t/0") as (inbox, outbox, health):
        assert await come(inbox, len(TOPICS) - 1) == TOPICS[1:]
        assert await aside(ledger) == [("t/0", str(refusal))]
        assert "t/0" in health.reason
        more = Deeds(outgoing=[Outgoing(topic="t/0", payload=b"2")])
        await ledger.accept([], [], Changes({}, {}), deadline_s=60, deeds=[more])
        outbox.wake()
        assert await come(inbox, 1) == ["t/0"]
        await outbox.drained()
        assert health.reason == ""
