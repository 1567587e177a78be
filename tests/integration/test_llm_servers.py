"""vLLM and Ollama by what their sources and documents say of their HTTP interface.

Neither runs here. The handlers answer as vLLM 0.10 and Ollama 0.12 do for what the bridge asks.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any, ClassVar

import pytest
from aiohttp import web

from schemas.generation import Generated
from services.llm_bridge.llama import LlamaServer
from services.llm_bridge.model import Model
from services.runtime.config import Bridge
from services.runtime.errors import Rejected
from tests.support.bridge import request
from tests.support.http_server import event, event_stream, http_server

pytestmark = pytest.mark.integration

GOOD = '{"summary": "Low bus.", "causes": [], "actions": []}'
USAGE = {"prompt_tokens": 321, "completion_tokens": 12, "total_tokens": 333}


class Vllm:
    """Lists one model with its context, counts chats, tells what it reused in the usage."""

    models: ClassVar[list[dict[str, Any]]] = [
        {"id": "org/phi-3", "object": "model", "owned_by": "vllm", "max_model_len": 2048}
    ]
    usage: ClassVar[dict[str, Any]] = {**USAGE, "prompt_tokens_details": {"cached_tokens": 300}}

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, asked: web.Request) -> web.StreamResponse:
        body = await asked.json() if asked.can_read_body else {}
        self.asked.append((asked.path, body))
        if asked.path == "/v1/models":
            return web.json_response({"object": "list", "data": self.models})
        if asked.path == "/v1/chat/completions":
            return await self.write(asked)
        return self.other(asked.path, body)

    def other(self, path: str, body: dict[str, Any]) -> web.StreamResponse:
        if path == "/health":
            return web.Response()
        if path == "/tokenize":
            count = len(json.dumps(body["messages"])) // 4
            return web.json_response({"count": count, "max_model_len": 2048, "tokens": []})
        return web.json_response({"detail": "Not Found"}, status=404)

    async def write(self, asked: web.Request) -> web.StreamResponse:
        response = await event_stream(asked)
        first = {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        await response.write(event({"choices": [first]}))
        await response.write(event({"choices": [{"delta": {"content": GOOD}}]}))
        await response.write(event({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
        await response.write(event({"choices": [], "usage": self.usage}))
        await response.write(b"data: [DONE]\n\n")
        return response


class Ollama(Vllm):
    """Lists models without a context, tells it of one that is loaded, counts nothing."""

    models: ClassVar[list[dict[str, Any]]] = [
        {"id": "llama3:latest", "object": "model", "owned_by": "library"},
        {"id": "qwen3:4b", "object": "model", "owned_by": "library"},
    ]
    usage: ClassVar[dict[str, Any]] = USAGE

    def __init__(self, *, loaded: int = 0, parameters: str = "", thinks: bool = True) -> None:
        super().__init__()
        self.loaded = loaded
        self.parameters = parameters
        self.capabilities = ["completion", *(["thinking"] if thinks else [])]

    def other(self, path: str, body: dict[str, Any]) -> web.StreamResponse:
        match path:
            case "/api/version":
                return web.json_response({"version": "0.12.0"})
            case "/api/show":
                shown = {"parameters": self.parameters, "capabilities": self.capabilities}
                return web.json_response({**shown, "template": "t", "modified_at": "2026"})
            case "/api/ps":
                running = {"name": "qwen3:4b", "context_length": self.loaded}
                return web.json_response({"models": [running] if self.loaded else []})
        return web.Response(status=404, text="404 page not found")


async def run(server: Vllm, **more: Any) -> tuple[Model, Generated, dict[str, Any]]:
    """Return the model, an answer of it, and the body it was asked for with."""
    async with http_server(server) as url:
        settings = Bridge(url=url, **more)
        async with LlamaServer(settings) as llama:
            model = await Model.probe(settings, llama)
            async with aclosing(model.write(request(seed=5, temperature=0.2))) as pieces:
                found = [piece async for piece in pieces]
    assert isinstance(found[-1], Generated)
    path, body = server.asked[-1]
    assert path == "/v1/chat/completions"
    return model, found[-1], body


async def test_vllm() -> None:
    server = Vllm()
    model, answer, body = await run(server, slots=3)
    assert (model.props.kind, model.props.model) == ("vllm", "org/phi-3")
    assert (model.props.context, model.props.slots) == (2048, 3)
    assert (answer.summary, answer.prompt_tokens, answer.cached_tokens) == ("Low bus.", 321, 300)
    assert answer.answer_tokens == 12
    assert body["model"] == "org/phi-3"
    assert (body["seed"], body["temperature"]) == (5, 0.2)
    assert body["response_format"]["type"] == "json_schema"
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    # What only llama-server knows is not sent.
    assert not {"id_slot", "cache_prompt", "reasoning_effort"} & body.keys()
    counted = [asked for path, asked in server.asked if path == "/tokenize"]
    assert [one["messages"] for one in counted] == [body["messages"]]


async def test_vllm_keeps_to_its_context() -> None:
    async with http_server(Vllm()) as url:
        settings = Bridge(url=url)
        async with LlamaServer(settings) as llama:
            model = await Model.probe(settings, llama)
            long = request().passages[0]
            many = [type(long)(n=n, source="p", text="Check it. " * 90) for n in range(1, 9)]
            async with aclosing(model.write(request(passages=many, max_tokens=512))) as pieces:
                found = [piece async for piece in pieces][-1]
    assert isinstance(found, Generated)
    assert found.left_out
    assert found.passages_used >= 4


async def test_ollama_tells_the_context_of_a_model_that_is_loaded() -> None:
    model, answer, body = await run(Ollama(loaded=8192), model="qwen3:4b")
    assert (model.props.kind, model.props.model, model.props.context) == (
        "ollama",
        "qwen3:4b",
        8192,
    )
    assert (answer.summary, answer.prompt_tokens, answer.cached_tokens) == ("Low bus.", 321, 0)
    assert model.facts == {}  # it does not tell what it reused
    assert (body["model"], body["reasoning_effort"]) == ("qwen3:4b", "none")
    assert not {"id_slot", "cache_prompt", "chat_template_kwargs"} & body.keys()


@pytest.mark.parametrize(
    ("parameters", "context"),
    [('stop    "<|end|>"\nnum_ctx    6000', 6000), ("temperature 0.6", 4096), ("", 4096)],
)
async def test_ollama_before_the_model_is_loaded(parameters: str, context: int) -> None:
    server = Ollama(parameters=parameters, thinks=False)
    model, _, body = await run(server)
    assert (model.props.model, model.props.context) == ("llama3:latest", context)
    assert "reasoning_effort" not in body


async def test_the_tag_latest_goes_without_saying() -> None:
    model, _, _ = await run(Ollama(), model="llama3")
    assert model.props.model == "llama3:latest"


@pytest.mark.parametrize("server", [Vllm, Ollama])
async def test_a_model_it_does_not_have_is_told_with_those_it_has(server: type[Vllm]) -> None:
    with pytest.raises(Rejected, match=r"no model 'gpt', it has .*llm_bridge\.model"):
        await run(server(), model="gpt")


async def test_completion_is_llama_servers_own() -> None:
    with pytest.raises(Rejected, match="api: chat"):
        await run(Vllm(), api="completion")
