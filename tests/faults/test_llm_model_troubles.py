"""What the bridge makes of a server whose model misbehaves."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from schemas.generation import Generate, Generated, PromptPassage, TextDelta
from services.llm_bridge.errors import BrokenOutput
from services.llm_bridge.llama import LlamaServer
from services.llm_bridge.model import Model
from services.runtime.config import Bridge
from services.runtime.errors import Rejected, Retryable
from tests.support.http_server import event, event_stream, http_server

pytestmark = pytest.mark.faults

GOOD = json.dumps(
    {
        "summary": "The bus voltage is low.",
        "causes": [{"text": "Mains low", "passages": [1]}],
        "actions": [{"text": "Measure L1", "passages": [2, 9]}],
    }
)
REQUEST = Generate(
    id="a1",
    system="You help.",
    question="E005?",
    passages=[PromptPassage(n=n, source=f"p. {n}", text="E005 | undervoltage") for n in (1, 2)],
    lang="en",
    max_tokens=64,
)
WHOLE = "The bus voltage is low.\n\nCauses:\n- Mains low [1]\n\nActions:\n- Measure L1 [2]"


class Scripted:
    """Says one text after the other, as an OpenAI-compatible server without `/props` does."""

    def __init__(self, *texts: str, finish: str = "stop", props: bool = False) -> None:
        self.texts = list(texts)
        self.finish = finish
        self.props = props
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/v1/chat/completions":
            return web.json_response({"error": {"message": "not here"}}, status=404)
        self.asked.append(await request.json())
        response = await event_stream(request)
        text = self.texts.pop(0)
        for start in range(0, len(text), 7):
            piece = {"delta": {"content": text[start : start + 7]}}
            await response.write(event({"choices": [piece]}))
        await response.write(event({"choices": [{"delta": {}, "finish_reason": self.finish}]}))
        await response.write(b"data: [DONE]\n\n")
        return response


async def run(
    server: Scripted, request: Generate = REQUEST, **more: Any
) -> tuple[str, Generated | None]:
    async with http_server(server) as url:
        settings = Bridge(url=url, **more)
        async with LlamaServer(settings) as llama:
            model = await Model.probe(settings, llama)
            texts: list[str] = []
            async with aclosing(model.write(request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Generated):
                        return "".join(texts), piece
                    assert isinstance(piece, TextDelta)
                    texts.append(piece.text)
            return "".join(texts), None


async def test_a_server_without_properties_works_with_estimates() -> None:
    server = Scripted(GOOD)
    text, answer = await run(server, model="phi-3", temperature=0.2)
    assert text == WHOLE
    assert answer is not None
    assert (answer.model, answer.passages_used) == ("phi-3", 2)
    assert answer.actions[0].passages == [2]
    assert 0 < answer.first_token_ms <= answer.total_ms
    asked = server.asked[0]
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("phi-3", 64, 0.2)
    assert asked["messages"][0]["content"].startswith("You help.")


async def test_a_broken_answer_is_tried_once_more_and_freer() -> None:
    server = Scripted("I am sorry, but", GOOD)
    text, answer = await run(server, temperature=0.0)
    assert text == WHOLE
    assert answer is not None
    assert [asked["temperature"] for asked in server.asked] == [0.0, 0.3]


async def test_text_already_told_is_not_told_twice() -> None:
    server = Scripted(GOOD[:40], GOOD)
    text, answer = await run(server)
    assert WHOLE.startswith(text)
    assert 0 < len(text) < len(WHOLE)
    assert answer is not None
    assert answer.summary == "The bus voltage is low."


async def test_two_broken_answers_are_an_error() -> None:
    server = Scripted("no", '{"summary": 1}', GOOD)
    with pytest.raises(BrokenOutput, match="form asked for"):
        await run(server)
    assert len(server.asked) == 2


async def test_an_answer_cut_by_the_limit_is_used_as_far_as_it_goes() -> None:
    server = Scripted(GOOD[:-30], finish="length")
    _, answer = await run(server)
    assert answer is not None
    assert answer.causes[0].text == "Mains low"
    assert answer.actions == []
    assert len(server.asked) == 1


async def test_a_model_that_does_not_end_is_left() -> None:
    with pytest.raises(BrokenOutput, match="does not end"):
        await run(Scripted("word " * 1000, '{"summary":"' + "word " * 1000))


async def test_what_comes_after_the_answer_is_left() -> None:
    text, answer = await run(Scripted(GOOD + "\n" * 5000))
    assert text == WHOLE
    assert answer is not None
    assert answer.answer_tokens == 0  # the server was not waited for to tell


async def test_a_small_context_keeps_the_best_passages() -> None:
    long = [PromptPassage(n=n, source="p", text="undervoltage " * 90) for n in range(1, 6)]
    request = Generate(id="a", system="", question="?", passages=long, lang="en", max_tokens=64)
    server = Scripted(GOOD)
    _, answer = await run(server, request, context=1400)
    assert answer is not None
    assert 1 <= answer.passages_used < 5
    said = server.asked[0]["messages"][1]["content"]
    assert said.count("<passage ") == answer.passages_used
    schema = server.asked[0]["response_format"]["json_schema"]["schema"]
    numbers = schema["properties"]["causes"]["items"]["properties"]["passages"]["items"]["enum"]
    assert numbers == list(range(1, answer.passages_used + 1))


async def test_a_question_too_long_is_rejected_before_the_model_is_asked() -> None:
    server = Scripted(GOOD)
    with pytest.raises(Rejected, match="larger context"):
        await run(server, context=300)
    assert server.asked == []


@pytest.mark.parametrize("status", [401, 503])
async def test_a_server_that_cannot_work_now_is_no_model(status: int) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "Loading model"}}, status=status)

    async with http_server(handler) as url:
        settings = Bridge(url=url)
        async with LlamaServer(settings) as llama:
            with pytest.raises(Rejected if status == 401 else Retryable):
                await Model.probe(settings, llama)
