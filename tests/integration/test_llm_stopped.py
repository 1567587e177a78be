"""What nobody wants any more really ends on the server: seen in llama.cpp's own slots and log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import aiohttp
import pytest

from schemas.channels import URGE
from schemas.generation import Generate, PromptPassage, Urge
from services.runtime.config import Bridge
from tests.support.bridge import Served, bridge, request
from tests.support.llama import LlamaProcess, llama_process
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration

READ = 1500
"""Tokens of a prompt that takes the server many batches, at least."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaProcess]:
    model = write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")
    with llama_process(model, batch=4) as process:
        yield process


def long(name: str, **more: object) -> Generate:
    """A request whose prompt no other begins like."""
    text = f"{name} motor " * 800
    passages = [PromptPassage(n=1, source=name, text=text)]
    return request(id=name, system=f"{name}.", passages=passages, max_tokens=512, **more)


async def busy(server: LlamaProcess) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/slots") as found:
        return any(slot["is_processing"] for slot in await found.json())


async def until_busy(server: LlamaProcess, *, wanted: bool) -> None:
    async with asyncio.timeout(60):
        while await busy(server) is not wanted:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.002)


def read(server: LlamaProcess) -> int:
    """Return how many tokens the latest request came to, reading and writing."""
    return int(re.findall(r"stop processing: n_tokens = (\d+)", server.log.read_text())[-1])


async def forget(served: Served, name: str) -> None:
    await served.caller.call(URGE, Urge(id=name, priority=None), deadline_s=60)


@pytest.mark.parametrize("api", ["completion", "chat"])
async def test_one_that_nobody_wants_is_not_read_on(server: LlamaProcess, api: str) -> None:
    async with bridge(Bridge(url=server.url, api=api)) as served:  # type: ignore[arg-type]
        name = f"unwanted{api}"
        asking = asyncio.create_task(served.ask(long(name)))
        await until_busy(server, wanted=True)
        await forget(served, name)
        await served.until(in_flight=0)
        await until_busy(server, wanted=False)
        asking.cancel()
        await asyncio.wait([asking])
    assert read(server) < READ


async def test_an_advice_makes_room_for_a_critical_one_and_is_answered_later(
    server: LlamaProcess,
) -> None:
    async with bridge(Bridge(url=server.url)) as served:
        advice = asyncio.create_task(served.ask(long("advice", priority="advice")))
        await until_busy(server, wanted=True)
        critical = asyncio.create_task(
            served.ask(request("What is E001?", id="critical", priority="critical"))
        )
        done, _ = await asyncio.wait([advice, critical], return_when=asyncio.FIRST_COMPLETED)
        assert done == {critical}
        assert (await advice)[1].model == "tiny"


async def test_background_makes_room_for_any_other(server: LlamaProcess) -> None:
    async with bridge(Bridge(url=server.url)) as served:
        night = asyncio.create_task(served.ask(long("night", background=True)))
        await until_busy(server, wanted=True)
        _, answer = await served.ask(request("What is E002?", id="live", priority="advice"))
        assert answer.model == "tiny"
        assert not night.done()
        assert (await night)[1].model == "tiny"
