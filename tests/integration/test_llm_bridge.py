"""The bridge's service with llama.cpp's own server behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from schemas.channels import GENERATE
from schemas.generation import PromptPassage, TextDelta
from services.llm_bridge.answer_form import ModelAnswer, render
from services.runtime.config import Bridge
from services.runtime.errors import Rejected, Unavailable
from tests.support.bridge import bridge, request
from tests.support.llama import LlamaProcess, llama_process
from tests.support.mosquitto import free_port
from tests.support.tiny_gguf import CONTEXT, write_tiny_gguf

pytestmark = pytest.mark.integration

# Random weights end a text when its limit is reached or a quote is drawn. With this much room the
# form's limits come first: about 900 characters of at most 3 tokens are allowed for 1536.
ROOM = 1536


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[LlamaProcess]:
    with llama_process(model, slots=2) as process:
        yield process


@pytest.mark.parametrize("api", ["completion", "chat"])
@pytest.mark.parametrize("lang", ["en", "zh"])
async def test_an_answer_is_streamed_and_then_whole(
    server: LlamaProcess, api: str, lang: str
) -> None:
    settings = Bridge(url=server.url, api=api, temperature=0.5)  # type: ignore[arg-type]
    async with bridge(settings) as served:
        text, answer = await served.ask(request(lang=lang, max_tokens=ROOM))
    assert answer.model == "tiny"
    assert answer.passages_used == 2
    assert answer.summary
    assert answer.prompt_tokens > 100
    assert answer.answer_tokens > 10
    assert 0 < answer.first_token_ms <= answer.total_ms
    assert {n for p in answer.causes + answer.actions for n in p.passages} <= {1, 2}
    whole = ModelAnswer(answer.summary, answer.causes, answer.actions)
    assert text == render(whole, "zh" if lang == "zh" else "en")


async def test_what_it_is_stands_in_its_facts(server: LlamaProcess) -> None:
    async with bridge(Bridge(url=server.url, slots=8)) as served:
        assert served.health.reason == ""
        facts = served.health.facts
        assert facts == {
            "model": "tiny",
            "identity": facts["identity"],
            "reachable": True,
            "context": CONTEXT,
            "slots": 2,
            "queued": 0,
            "queued_critical": 0,
            "queued_warning": 0,
            "queued_advice": 0,
            "queued_background": 0,
            "in_flight": 0,
            "order": "",
            "waiting_s": 0.0,
            "waited_ms": 0.0,
            "breaker": "closed",
            "models": "",
            "switching": "",
        }


async def test_the_standing_instructions_are_read_once(server: LlamaProcess) -> None:
    async with bridge(Bridge(url=server.url)) as served:
        system = "Standing instructions that every request has. " * 20
        await served.ask(request("What is E005?", system=system, max_tokens=ROOM))
        _, answer = await served.ask(request("And what is E006?", system=system, max_tokens=ROOM))
    assert answer.cached_tokens > answer.prompt_tokens // 2


async def test_passages_too_long_for_the_context_are_left_out(server: LlamaProcess) -> None:
    # One token a letter, as the vocabulary has no such words.
    passages = [PromptPassage(n=n, source="p", text="欠压" * 200) for n in range(1, 9)]
    async with bridge(Bridge(url=server.url)) as served:
        _, answer = await served.ask(request(passages=passages, max_tokens=ROOM))
        assert 1 <= answer.passages_used < 8
        assert answer.prompt_tokens <= CONTEXT - ROOM
        assert answer.prompt_tokens > (CONTEXT - ROOM) * 0.8


async def test_a_question_too_long_is_rejected(server: LlamaProcess) -> None:
    async with bridge(Bridge(url=server.url)) as served:
        with pytest.raises(Rejected, match="larger context"):
            await served.ask(request("变频器" * 2000))


async def test_no_passages_give_no_numbers(server: LlamaProcess) -> None:
    async with bridge(Bridge(url=server.url)) as served:
        _, answer = await served.ask(request(passages=[], max_tokens=ROOM))
    assert answer.passages_used == 0
    assert [n for p in answer.causes + answer.actions for n in p.passages] == []


async def test_many_at_once_are_all_answered(server: LlamaProcess) -> None:
    async with bridge(Bridge(url=server.url, slots=2)) as served:
        asked = [request(f"What is E{n:03}?", id=f"a{n}", max_tokens=ROOM) for n in range(8)]
        answers = await asyncio.gather(*(served.ask(one) for one in asked))
    assert all(answer.summary for _, answer in answers)


async def test_a_server_that_dies_and_comes_back(model: Path) -> None:
    port = free_port()
    settings = Bridge(url=f"http://127.0.0.1:{port}")
    async with bridge(settings) as served:
        assert "passages alone" in served.health.reason
        assert served.health.facts["model"] == ""
        with pytest.raises(Unavailable, match="llama-server runs"):
            await served.ask(request())
        with llama_process(model, port=port):
            await served.until(model="tiny", reachable=True)
            await served.well()
            _, answer = await served.ask(request(max_tokens=ROOM))
            assert answer.model == "tiny"
        await served.until(model="", reachable=False)
        assert "Connect call failed" in served.health.reason


async def test_pieces_come_before_the_answer_is_whole(server: LlamaProcess) -> None:
    async with bridge(Bridge(url=server.url, temperature=0.8)) as served:
        stream = served.caller.stream(GENERATE, request(max_tokens=ROOM), deadline_s=240)
        async with aclosing(stream) as pieces:
            assert isinstance(await anext(pieces), TextDelta)
