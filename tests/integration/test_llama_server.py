"""The client against llama.cpp's own server, with a tiny model of random weights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.llm_bridge.answer_form import Form, parse
from services.llm_bridge.llama import Done, LlamaServer, Message, Token, Writing
from services.runtime.config import Bridge
from services.runtime.errors import Rejected
from tests.support.llama import LlamaProcess, llama_process
from tests.support.tiny_gguf import CONTEXT, WIDTH, write_tiny_gguf

pytestmark = pytest.mark.integration

KEY = "secret"
# Random weights follow a schema and nothing else, so an answer ends when the form's limits are
# reached: these, at 3 tokens a character at most and some more for the frame, end below 800.
FORM = Form(summary=60, point=30, causes=2, actions=2, refs=2)
ROOM = 800
CHAT = [Message("system", "You help."), Message("user", "What does E005 mean? 变频器")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[LlamaProcess]:
    with llama_process(model, slots=2, api_key=KEY) as process:
        yield process


def settings(server: LlamaProcess, **more: Any) -> Bridge:
    return Bridge(**{"url": server.url, "api_key": KEY, **more})


def writing(**more: Any) -> Writing:
    given = {"schema": FORM.schema([1]), "max_tokens": ROOM, "temperature": 0.0, **more}
    return Writing(**given)


async def collect(pieces: Any) -> tuple[str, Done]:
    texts: list[str] = []
    async for piece in pieces:
        if isinstance(piece, Done):
            return "".join(texts), piece
        texts.append(piece.text)
    raise AssertionError("no end")


async def slots_busy(server: LlamaProcess) -> int:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
        session.get(f"{server.url}/slots") as response,
    ):
        return sum(slot["is_processing"] for slot in await response.json())


def test_the_model_is_small_and_the_same_each_time(model: Path, tmp_path: Path) -> None:
    again = write_tiny_gguf(tmp_path / "again.gguf")
    assert again.read_bytes() == model.read_bytes()
    assert model.stat().st_size < 5_000_000


async def test_health_and_properties(server: LlamaProcess) -> None:
    async with LlamaServer(settings(server)) as llama:
        await llama.health()
        props = await llama.props()
    assert (props.kind, props.model, props.context, props.slots) == ("llama", "tiny", CONTEXT, 2)
    assert props.template


async def test_tokens_are_counted_as_the_prompt_is_read(server: LlamaProcess) -> None:
    async with LlamaServer(settings(server)) as llama:
        assert await llama.count_tokens("") == 1  # the token every prompt begins with
        prompt = await llama.apply_template(CHAT)
        assert (
            prompt
            == "<|system|>\nYou help.\n<|user|>\nWhat does E005 mean? 变频器\n<|assistant|>\n"
        )
        count = await llama.count_tokens(prompt)
        _, done = await collect(llama.complete(prompt, writing(max_tokens=16)))
    assert done.prompt_tokens == count


@pytest.mark.parametrize("api", ["completion", "chat"])
@pytest.mark.parametrize("numbers", [(), (1,), (1, 2, 5)])
async def test_output_is_held_in_form(
    server: LlamaProcess, api: str, numbers: tuple[int, ...]
) -> None:
    async with LlamaServer(settings(server)) as llama:
        for temperature in (0.0, 0.8):
            how = writing(schema=FORM.schema(numbers), temperature=temperature)
            text, done = await collect(
                llama.complete("The fault", how) if api == "completion" else llama.chat(CHAT, how)
            )
            assert not done.cut
            assert 0 < done.answer_tokens < ROOM
            assert done.prompt_tokens > 0
            raw = json.loads(text)
            assert len(raw["causes"]) <= 2
            answer = parse(text, passages=numbers)
            assert len(answer.causes) == len([c for c in raw["causes"] if c["text"].strip()])
            used = {n for point in answer.causes + answer.actions for n in point.passages}
            assert used <= set(numbers)


@pytest.mark.parametrize("api", ["completion", "chat"])
async def test_text_comes_while_it_is_written(server: LlamaProcess, api: str) -> None:
    how = writing(temperature=0.8)
    async with LlamaServer(settings(server)) as llama:
        pieces = llama.complete("The", how) if api == "completion" else llama.chat(CHAT, how)
        found = [piece async for piece in pieces]
    assert len(found) > 20
    assert all(isinstance(piece, Token) for piece in found[:-1])


@pytest.mark.parametrize("api", ["completion", "chat"])
async def test_a_prompt_asked_again_comes_from_the_cache(server: LlamaProcess, api: str) -> None:
    how = writing()
    async with LlamaServer(settings(server)) as llama:
        for _ in range(2):
            _, done = await collect(
                llama.complete("Cached: the fault " * 20, how)
                if api == "completion"
                else llama.chat([Message("user", "Cached: the fault " * 20)], how)
            )
    assert done.cached_tokens == done.prompt_tokens - 1  # the last one is always read


async def test_the_end_of_the_room_is_told(server: LlamaProcess) -> None:
    async with LlamaServer(settings(server)) as llama:
        _, done = await collect(llama.complete("The", writing(max_tokens=16)))
    assert done.cut
    assert done.answer_tokens == 16


@pytest.mark.parametrize("api", ["completion", "chat"])
async def test_closing_early_stops_the_server(server: LlamaProcess, api: str) -> None:
    long = {"type": "array", "items": {"type": "string", "minLength": 900}, "minItems": 3}
    how = writing(schema=long, max_tokens=3500, temperature=0.8)
    before = server.log.read_text().count("cancel task")
    async with LlamaServer(settings(server)) as llama:
        pieces = llama.complete("The", how) if api == "completion" else llama.chat(CHAT, how)
        async with aclosing(pieces):
            assert isinstance(await anext(pieces), Token)
        async with asyncio.timeout(60):
            while await slots_busy(server):  # noqa: ASYNC110  the server is another process
                await asyncio.sleep(0.01)
            # A thread of its own writes the log.
            while (cancelled := server.log.read_text().count("cancel task")) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert cancelled == before + 1


async def test_a_refusal_carries_the_servers_words(server: LlamaProcess) -> None:
    async with LlamaServer(settings(server)) as llama:
        with pytest.raises(Rejected, match=f"exceeds the available context size .{CONTEXT} tokens"):
            await collect(llama.complete("the " * 6000, writing(max_tokens=8)))


async def test_a_wrong_key_is_refused_with_what_to_check(server: LlamaProcess) -> None:
    async with LlamaServer(settings(server, api_key="wrong")) as llama:
        with pytest.raises(Rejected, match=r"Invalid API Key.*llm_bridge\.api_key"):
            await llama.count_tokens("x")


async def test_the_same_file_embeds(model: Path) -> None:
    with llama_process(model, embedding=True) as process:
        body = {"input": ["the fault code", "变频器"]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{process.url}/v1/embeddings", json=body) as response,
        ):
            data = (await response.json())["data"]
    assert [len(row["embedding"]) for row in data] == [WIDTH, WIDTH]
    assert sum(x * x for x in data[0]["embedding"]) == pytest.approx(1, abs=1e-5)
