"""What never changes of a prompt is read once: proved by the token counts of llama.cpp's server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from schemas.generation import Generate, PromptPassage
from services.runtime.config import Bridge
from tests.support.bridge import Served, bridge, request
from tests.support.llama import LlamaProcess, llama_process
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration

ROOM = 1536
GOAL = 0.9
SYSTEMS = {
    (flow, lang): f"{words} " * 12
    for flow, lang, words in (
        ("fault", "en", "You help a fitter at a machine that has just stopped."),
        ("fault", "zh", "你帮助维修人员处理刚刚停机的设备。"),
        ("ask", "en", "You help a fitter who asks about a machine that runs."),
        ("ask", "zh", "你回答维修人员关于运行中设备的问题。"),
    )
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, LlamaProcess]]:
    model = write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")
    with ExitStack() as stack:
        yield {n: stack.enter_context(llama_process(model, slots=n)) for n in (1, 4)}


def asked(number: int, flow: str = "fault", lang: str = "en") -> Generate:
    text = f"E{number:03} | fault {number} | check cable {number * 7}"
    return request(
        f"What does E{number:03} mean?",
        id=f"r{number}",
        system=SYSTEMS[flow, lang],
        passages=[PromptPassage(n=1, source=f"Manual, p. {number}", text=text)],
        lang=lang,
        max_tokens=ROOM,
    )


def reused(served: Served) -> float:
    share = served.health.facts["prefix_reused"]
    assert isinstance(share, float)
    return share


@pytest.mark.parametrize("api", ["completion", "chat"])
@pytest.mark.parametrize("slots", [1, 4])
async def test_later_requests_of_a_flow_find_it_read(
    servers: dict[int, LlamaProcess], slots: int, api: str
) -> None:
    settings = Bridge(url=servers[slots].url, slots=slots, api=api)  # type: ignore[arg-type]
    async with bridge(settings) as served:
        await served.ask(asked(0))
        assert "prefix_reused" not in served.health.facts
        for number in range(1, 5):
            _, answer = await served.ask(asked(number))
            # All but the question, its passage and the frame.
            assert answer.cached_tokens > answer.prompt_tokens * 0.8
        assert GOAL <= reused(served) <= 1


async def test_four_flows_keep_a_slot_each(servers: dict[int, LlamaProcess]) -> None:
    async with bridge(Bridge(url=servers[4].url, slots=4)) as served:
        flows = list(SYSTEMS)
        for number in range(12):
            flow, lang = flows[number % 4]
            _, answer = await served.ask(asked(number, flow, lang))
            assert number < 4 or answer.cached_tokens > answer.prompt_tokens * 0.7
        assert reused(served) >= GOAL


async def test_requests_side_by_side_find_it_in_every_slot(
    servers: dict[int, LlamaProcess],
) -> None:
    async with bridge(Bridge(url=servers[4].url, slots=4)) as served:
        for start in (100, 104, 108):  # the first ones fill the slots
            await asyncio.gather(*(served.ask(asked(start + n)) for n in range(4)))
        assert reused(served) >= GOAL


async def test_one_slot_for_two_flows_by_turns_reads_again(
    servers: dict[int, LlamaProcess],
) -> None:
    async with bridge(Bridge(url=servers[1].url)) as served:
        for number in range(6):
            await served.ask(asked(number, ("fault", "ask")[number % 2]))
        assert reused(served) < 0.5
