"""The same question over the same passages is written once, for as long as it stands."""

from __future__ import annotations

import asyncio

import pytest

from schemas.answers import Answer
from schemas.faults import Priority
from schemas.retrieval import DocumentRef, Hit, Passage
from services.orchestrator.records import Work
from services.orchestrator.reuse import Busy, Key, Reuse, Writing, key_of

pytestmark = pytest.mark.unit


class Writer:
    """Writes slowly, and counts how often."""

    def __init__(self, *, fails: int = 0) -> None:
        self.times = 0
        self.fails = fails
        self.gate = asyncio.Event()

    async def __call__(self, _writing: Writing) -> Answer:
        self.times += 1
        await self.gate.wait()
        if self.times <= self.fails:
            raise ValueError("no")
        moment = "2026-01-31T12:00:00.000Z"
        return Answer(
            id=str(self.times),
            stage="final",
            asset=None,
            code="",
            question="",
            lang="en",
            summary="",
            text="",
            answered_by="model",
            first_seen=moment,
            last_seen=moment,
            created=moment,
        )


async def test_many_who_ask_at_once_get_one_answer() -> None:
    reuse, writer = Reuse(300, lambda: 0.0), Writer()
    asked = [asyncio.create_task(reuse.get_or_make(("k",), writer)) for _ in range(5)]
    await asyncio.sleep(0)
    assert reuse.get(("k",)) is None
    writer.gate.set()
    assert {answer.id for answer in await asyncio.gather(*asked)} == {"1"}
    standing = reuse.get(("k",))
    assert standing is not None
    assert standing.id == "1"


async def test_an_answer_stands_for_its_time_and_for_its_key() -> None:
    clock = [0.0]
    reuse, writer = Reuse(300, lambda: clock[0]), Writer()
    writer.gate.set()
    assert (await reuse.get_or_make(("k",), writer)).id == "1"
    assert (await reuse.get_or_make(("other",), writer)).id == "2"
    clock[0] = 299.9
    assert (await reuse.get_or_make(("k",), writer)).id == "1"
    clock[0] = 300.0
    assert reuse.get(("k",)) is None
    assert (await reuse.get_or_make(("k",), writer)).id == "3"


async def test_a_failure_is_not_kept() -> None:
    reuse, writer = Reuse(300, lambda: 0.0), Writer(fails=1)
    writer.gate.set()
    with pytest.raises(ValueError, match="no"):
        await reuse.get_or_make(("k",), writer)
    assert (await reuse.get_or_make(("k",), writer)).id == "2"


async def test_who_gives_up_waiting_does_not_stop_the_writer() -> None:
    reuse, writer = Reuse(300, lambda: 0.0), Writer()
    first = asyncio.create_task(reuse.get_or_make(("k",), writer))
    await asyncio.sleep(0)
    second = asyncio.create_task(reuse.get_or_make(("k",), writer))
    await asyncio.sleep(0)
    second.cancel()
    writer.gate.set()
    assert (await first).id == "1"
    with pytest.raises(asyncio.CancelledError):
        await second


async def test_a_writer_that_is_stopped_leaves_the_next_to_try() -> None:
    reuse, writer = Reuse(300, lambda: 0.0), Writer()
    first = asyncio.create_task(reuse.get_or_make(("k",), writer))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    writer.gate.set()
    assert (await reuse.get_or_make(("k",), writer)).id == "2"


async def test_zero_seconds_is_never() -> None:
    reuse, writer = Reuse(0, lambda: 0.0), Writer()
    writer.gate.set()
    await reuse.get_or_make(("k",), writer)
    assert reuse.get(("k",)) is None


async def test_an_answer_belongs_to_all_who_wait_for_it() -> None:
    reuse, writer = Reuse(300, lambda: 0.0), Writer()
    first = asyncio.create_task(reuse.get_or_make(("k",), writer))
    await asyncio.sleep(0)
    second = asyncio.create_task(reuse.get_or_make(("k",), writer))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    writer.gate.set()
    assert (await second).id == "1"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_the_most_urgent_who_waits_tells_how_urgent_it_is() -> None:
    urged: list[tuple[str, Priority | None]] = []
    reuse = Reuse(300, lambda: 0.0, urge=lambda name, priority: urged.append((name, priority)))
    writer = Writer()
    waits = [
        asyncio.create_task(reuse.get_or_make(("k",), writer, who=("p", str(n)), priority=priority))
        for n, priority in enumerate(("warning", "advice", "critical"))
    ]
    await asyncio.sleep(0)
    assert [priority for _, priority in urged] == ["critical"]
    reuse.escalate(("p", "nobody"), "critical")
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    assert [priority for _, priority in urged] == ["critical", None]
    assert len({name for name, _ in urged}) == 1


async def test_the_least_urgent_makes_room() -> None:
    reuse, writer = Reuse(300, lambda: 0.0, written_most=3, waiting_most=4), Writer()

    def ask(key: str, priority: Priority) -> asyncio.Task[Answer]:
        return asyncio.create_task(reuse.get_or_make((key,), writer, priority=priority))

    a, b, c = ask("a", "warning"), ask("b", "advice"), ask("c", "advice")
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="others were before"):
        await ask("d", "advice")
    e = ask("e", "critical")
    with pytest.raises(Busy, match="more urgent"):
        await c
    a2 = ask("a", "warning")
    await asyncio.sleep(0)
    a3 = ask("a", "critical")
    with pytest.raises(Busy, match="more urgent"):
        await b
    writer.gate.set()
    assert len(await asyncio.gather(a, a2, a3, e)) == 4


def test_of_a_code_the_manual_tells_whether_it_is_the_same() -> None:
    def key(question: str, *ordinals: int, code: str = "E1", besides: str = "") -> Key:
        work = Work(
            answer_id="a",
            place="p",
            asset="p",
            code=code,
            question=question,
            lang="en",
            priority="warning",
            trace="",
            first_seen="",
            last_seen="",
        )
        document = DocumentRef(doc_id="d", revision=1, title="T", file="t.pdf")
        hits = [
            Hit(document=document, passage=Passage(ordinal=n, text=""), score=0.5, by="code")
            for n in ordinals
        ]
        notes = DocumentRef(doc_id="n", revision=1, title="N", file="n.pdf", assets=[besides])
        note = Hit(document=notes, passage=Passage(ordinal=0, text=""), score=0.4, by="words")
        return key_of(work, [*hits, note] if besides else hits, 7)

    assert key("E1 no. 1", 1, 2) == key("E1 no. 2", 1, 3)
    assert key("E1", 1, 2) != key("E1", 1, 2, code="E2")
    assert key("E1", 1, besides="plant/m1") != key("E1", 1), "what is said of one machine alone"
    assert key("E1 no. 1", 1, besides="plant/+") == key("E1 no. 2", 2, besides="plant/+")
    assert key("why?", 1, 2, code="") != key("why?", 1, 3, code="")
