"""Answers of llama.cpp's own server: made again by their seed, with the model's own template."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from schemas.generation import Generate, Generated, PromptPassage
from services.llm_bridge.llama import LlamaServer
from services.llm_bridge.model import Model
from services.runtime.config import Bridge
from tests.support.bridge import bridge, request
from tests.support.llama import LlamaProcess, llama_process
from tests.support.mosquitto import free_port
from tests.support.tiny_gguf import CONTEXT, TEMPLATE, write_tiny_gguf

pytestmark = pytest.mark.integration

ROOM = 1536
APIS = ["completion", "chat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LlamaProcess]:
    with llama_process(write_tiny_gguf(folder / "tiny.gguf"), slots=2) as process:
        yield process


async def answer(model: Model, asked: Generate, slot: int | None = None) -> Generated:
    async with aclosing(model.write(asked, slot)) as pieces:
        found = [piece async for piece in pieces]
    assert isinstance(found[-1], Generated)
    return found[-1]


def said(found: Generated) -> tuple[Any, ...]:
    return found.summary, found.causes, found.actions, found.answer_tokens


@pytest.mark.parametrize("api", APIS)
async def test_the_same_seed_makes_the_same_answer(server: LlamaProcess, api: str) -> None:
    settings = Bridge(url=server.url, api=api)  # type: ignore[arg-type]
    asked = request(max_tokens=ROOM, temperature=0.9, seed=7)
    async with LlamaServer(settings) as llama:
        model = await Model.probe(settings, llama)
        first = await answer(model, asked)
        assert (first.seed, first.temperature) == (7, 0.9)
        # Again, then in the other slot, then after something else was read there.
        assert said(await answer(model, asked)) == said(first)
        assert said(await answer(model, asked, 1)) == said(first)
        await answer(model, request("Something else?", max_tokens=ROOM), 1)
        assert said(await answer(model, asked, 1)) == said(first)
        other = request(max_tokens=ROOM, temperature=0.9, seed=8)
        assert said(await answer(model, other)) != said(first)


@pytest.mark.parametrize("api", APIS)
async def test_a_seed_is_drawn_and_told(server: LlamaProcess, api: str) -> None:
    settings = Bridge(url=server.url, api=api, temperature=0.7)  # type: ignore[arg-type]
    async with LlamaServer(settings) as llama:
        model = await Model.probe(settings, llama)
        first, other = [await answer(model, request(max_tokens=ROOM)) for _ in range(2)]
    assert first.seed != other.seed
    assert said(first) != said(other)
    assert first.temperature == other.temperature == 0.7


async def test_zero_is_the_same_whatever_the_seed(server: LlamaProcess) -> None:
    settings = Bridge(url=server.url)
    async with LlamaServer(settings) as llama:
        model = await Model.probe(settings, llama)
        found = [
            await answer(model, request(max_tokens=ROOM, temperature=0.0, seed=seed))
            for seed in (1, 2)
        ]
    assert said(found[0]) == said(found[1])


async def test_both_ways_of_asking_read_the_same_prompt(server: LlamaProcess) -> None:
    counts = set()
    for api in APIS:
        settings = Bridge(url=server.url, api=api)  # type: ignore[arg-type]
        async with LlamaServer(settings) as llama:
            model = await Model.probe(settings, llama)
            counts.add((await answer(model, request(max_tokens=ROOM))).prompt_tokens)
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("template", "has", "ends"),
    [("", False, "Answer:\n"), (TEMPLATE, True, "<|assistant|>\n")],
)
async def test_a_chat_model_is_asked_with_its_template(
    folder: Path, template: str, has: bool, ends: str
) -> None:
    path = write_tiny_gguf(folder / f"template{len(template)}.gguf", template=template)
    with llama_process(path) as process:
        settings = Bridge(url=process.url, api="completion")
        async with LlamaServer(settings) as llama:
            model = await Model.probe(settings, llama)
            assert model.told.template is has
            asked = request(max_tokens=ROOM)
            read = await model.read(asked, asked.passages)
            assert read.text.endswith(ends)
            found = await answer(model, asked)
    assert found.prompt_tokens == read.tokens


async def test_passages_are_left_out_and_shortened_as_told(server: LlamaProcess) -> None:
    # Three tokens a character, as the vocabulary has no such words.
    text = "检查直流母线的电压。" * 40
    passages = [PromptPassage(n=n, source="p", text=text) for n in range(3, 9)]
    settings = Bridge(url=server.url)
    async with LlamaServer(settings) as llama:
        model = await Model.probe(settings, llama)
        found = await answer(model, request(passages=passages, max_tokens=ROOM))
        assert found.shortened == [4]
        assert found.left_out == [5, 6, 7, 8]
        assert found.prompt_tokens <= CONTEXT - ROOM
        assert found.passages_used == 2
        # Not a sentence more had fitted.
        assert CONTEXT - ROOM - 90 < found.prompt_tokens <= CONTEXT - ROOM


async def test_another_model_at_the_same_address_is_asked_anew(folder: Path) -> None:
    port = free_port()
    first = write_tiny_gguf(folder / "first.gguf")
    other = write_tiny_gguf(folder / "other.gguf", template=TEMPLATE.replace("|>", "_>"))
    async with bridge(Bridge(url=f"http://127.0.0.1:{port}", slots=4)) as served:
        with llama_process(first, port=port):
            await served.until(model="first", context=CONTEXT, slots=1)
            _, found = await served.ask(request(max_tokens=ROOM))
            assert found.model == "first"
        await served.until(model="")
        with llama_process(other, port=port, context=3072, slots=2):
            await served.until(model="other", context=3072, slots=2)
            await served.well()
            _, found = await served.ask(request(max_tokens=ROOM))
            assert found.model == "other"


async def test_the_configuration_can_only_lower_the_context(server: LlamaProcess) -> None:
    for asked, has in ((1024, 1024), (99_999, CONTEXT)):
        settings = Bridge(url=server.url, context=asked)
        async with LlamaServer(settings) as llama:
            assert (await Model.probe(settings, llama)).props.context == has
