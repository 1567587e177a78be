from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.generation import Generate, Generated, Piece, TextDelta
from services.llm_bridge.breaker import Breaker
from services.llm_bridge.errors import BrokenOutput
from services.llm_bridge.queue import SlotQueue
from services.llm_bridge.writing import Told, Writing
from services.runtime.errors import DeadlineExceeded, Rejected, Retryable, Unavailable
from tests.support.bridge import request

pytestmark = pytest.mark.unit

DONE = Generated(summary="s", causes=[], actions=[], model="m", passages_used=2)


class Script:
    """A model that does what is written down, one try after the other."""

    def __init__(self, *tries: str | BaseException | list[str | BaseException]) -> None:
        self.tries: Iterator[str | BaseException | list[str | BaseException]] = iter(tries)
        self.asked = 0

    async def __call__(self, _request: Generate, _slot: int) -> AsyncGenerator[Piece, None]:
        self.asked += 1
        steps = next(self.tries)
        for step in steps if isinstance(steps, list) else [steps]:
            await asyncio.sleep(0)
            if isinstance(step, BaseException):
                raise step
            yield TextDelta(text=step)
        yield DONE


class Silent(Script):
    """A model that never says anything."""

    async def __call__(self, _request: Generate, _slot: int) -> AsyncGenerator[Piece, None]:
        self.asked += 1
        await asyncio.Event().wait()
        yield DONE


class Endless(Script):
    """A model that never comes to an end."""

    async def __call__(self, _request: Generate, _slot: int) -> AsyncGenerator[Piece, None]:
        while True:
            yield TextDelta(text="on and ")
            await asyncio.sleep(0.01)


class Desk:
    """A queue, a breaker and a clock of waits that are no longer than told."""

    def __init__(self, script: Script) -> None:
        self.queue = SlotQueue[Generate](1, waiting=9)
        self.breaker = Breaker(failures=2)
        self.script = script
        self.waits: list[tuple[float, float]] = []

    def draw(self, low: float, high: float) -> float:
        self.waits.append((low, high))
        return 0.0

    async def ask(self, *, background: bool = False, **more: object) -> str:
        writing = Writing(
            request(background=background),
            self.queue,
            self.breaker,
            self.script,
            between=self.draw,
            **more,  # type: ignore[arg-type]
        )
        text = ""
        async with aclosing(writing.pieces()) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generated):
                    return text
                text += piece.text
        raise AssertionError("no answer")


def away() -> Retryable:
    return Retryable("ask", "the server ran out of memory")


async def test_what_may_pass_is_tried_again_with_longer_waits() -> None:
    desk = Desk(Script(away(), Unavailable("ask", "nobody"), away(), "four"))
    assert await desk.ask() == "four"
    assert desk.waits == [(0.25, 0.5), (0.5, 1.0), (1.0, 2.0)]
    assert desk.queue.in_flight == desk.queue.depth == 0


async def test_after_some_tries_the_error_stands() -> None:
    desk = Desk(Script(*(away() for _ in range(9))))
    with pytest.raises(Retryable, match="out of memory"):
        await desk.ask()
    assert desk.script.asked == 4


@pytest.mark.parametrize(
    "error",
    [
        DeadlineExceeded("ask", "no token"),
        BrokenOutput("ask", "no JSON"),
        Rejected("ask", "too long"),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(error: Exception) -> None:
    desk = Desk(Script(error, "never"))
    with pytest.raises(type(error)):
        await desk.ask()
    assert desk.script.asked == 1


async def test_it_is_not_tried_again_where_no_time_is_left() -> None:
    desk = Desk(Script(away(), "never"))
    with pytest.raises(Retryable, match="out of memory"):
        await desk.ask(until=asyncio.get_running_loop().time() + 0.01)
    assert desk.script.asked == 1


async def test_text_that_was_sent_is_not_sent_again() -> None:
    desk = Desk(
        Script(["The bus ", away()], ["The ", "bus volt", "age", away()], ["The bus v", "x"])
    )
    assert await desk.ask() == "The bus voltage"


async def test_it_opens_for_failures_of_the_model_alone() -> None:
    broken = BrokenOutput("ask", "no JSON")
    desk = Desk(Script(Rejected("ask", "too long"), broken, Rejected("ask", "too long"), broken))
    for _ in range(4):
        with pytest.raises((Rejected, BrokenOutput)):
            await desk.ask()
    assert desk.breaker.state(asyncio.get_running_loop().time()) == "open"
    with pytest.raises(Unavailable, match="several times in a row: no JSON"):
        await desk.ask()
    assert desk.script.asked == 4


async def test_what_nobody_waits_for_never_keeps_the_model_from_the_others() -> None:
    desk = Desk(Script(*[BrokenOutput("ask", "no JSON")] * 5, "live"))
    for _ in range(5):
        with pytest.raises(BrokenOutput):
            await desk.ask(background=True)
    assert await desk.ask() == "live"


async def test_what_nobody_waits_for_is_not_the_try_that_others_wait_for() -> None:
    held = asyncio.Event()

    class Slow(Script):
        async def __call__(self, asked: Generate, slot: int) -> AsyncGenerator[Piece, None]:
            if asked.background and not held.is_set():
                held.set()
                await asyncio.Event().wait()
            async for piece in super().__call__(asked, slot):
                yield piece

    desk = Desk(Slow("live", "night"))
    now = asyncio.get_running_loop().time()
    for _ in range(2):
        desk.breaker.failed(now, None, "it fell over")
    desk.breaker.restarted(now)
    night = asyncio.create_task(desk.ask(background=True))
    await held.wait()
    assert await desk.ask() == "live"
    assert await night == "night"
    assert desk.breaker.state(asyncio.get_running_loop().time()) == "closed"


async def test_a_model_known_to_be_away_is_not_asked_nor_blamed() -> None:
    def check() -> None:
        raise Unavailable("ask", "known to be away")

    desk = Desk(Script("never"))
    for _ in range(3):
        with pytest.raises(Unavailable, match="known to be away"):
            await desk.ask(check=check)
    assert desk.script.asked == 0
    assert desk.breaker.state(0.0) == "closed"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Silent, "nothing came until the deadline"),
        (Endless, "it had not finished by the deadline"),
    ],
)
async def test_a_model_that_is_not_done_at_the_deadline_has_failed(
    script: type[Script], reason: str
) -> None:
    desk = Desk(script())
    for _ in range(2):
        until = asyncio.get_running_loop().time() + 0.15
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(until):
                await desk.ask(until=until)
    assert desk.breaker.reason == reason
    assert not desk.breaker.admits(asyncio.get_running_loop().time())


async def test_what_waited_for_a_slot_until_its_deadline_says_nothing_of_the_model() -> None:
    desk = Desk(Silent())
    clock = asyncio.get_running_loop().time
    for number in range(3):
        first = asyncio.create_task(desk.ask())
        while desk.script.asked == 2 * number:  # noqa: ASYNC110  a plain number
            await asyncio.sleep(0)
        until = clock() + 0.5
        late = asyncio.create_task(desk.ask(until=until))
        await asyncio.sleep(0.4)
        first.cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(until):
                await late
        assert desk.script.asked == 2 * number + 2, "it had its turn at the end"
    assert desk.breaker.state(clock()) == "closed"


async def test_an_asker_that_leaves_is_no_failure() -> None:
    desk = Desk(Silent())
    for number in range(4):
        asking = asyncio.create_task(desk.ask())
        while desk.script.asked == number:  # noqa: ASYNC110  a plain number
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
    assert desk.breaker.state(0.0) == "closed"
    assert desk.queue.in_flight == 0


WORDS = st.text("ab", max_size=6)


@given(st.lists(st.lists(WORDS, max_size=5), max_size=5))
def test_what_is_told_is_one_text_whatever_is_begun_again(tries: list[list[str]]) -> None:
    told, sent = Told(), ""
    for pieces in tries:
        told.again()
        written = ""
        for piece in pieces:
            written += piece
            news = told.news(piece)
            sent += news
            assert not news or sent == written
    assert not sent or sent in {"".join(t[:n]) for t in tries for n in range(len(t) + 1)}
