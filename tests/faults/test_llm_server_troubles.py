"""The model's server does what it should not: each trouble is one clear error."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.llm_bridge import probing
from services.llm_bridge.errors import BrokenOutput, NotOffered
from services.llm_bridge.llama import Done, LlamaServer, Message, Token, Writing
from services.runtime.config import Bridge
from services.runtime.errors import (
    AndonError,
    DeadlineExceeded,
    Fatal,
    Rejected,
    Retryable,
    Unavailable,
)
from tests.support.certificates import Authority
from tests.support.http_server import event, event_stream, http_server, tcp_server
from tests.support.mosquitto import free_port

pytestmark = pytest.mark.faults

APIS = ["completion", "chat"]
HOW = Writing(schema={}, max_tokens=64, temperature=0.0)
TOKEN = {
    "completion": {"content": "a", "stop": False},
    "chat": {"choices": [{"delta": {"content": "a"}}]},
}


def client(url: str, **more: Any) -> LlamaServer:
    return LlamaServer(Bridge(url=url, **more))


def ask(llama: LlamaServer, api: str) -> Any:
    if api == "completion":
        return llama.complete("The", HOW)
    return llama.chat([Message("user", "The")], HOW)


async def read(llama: LlamaServer, api: str) -> list[Token | Done]:
    async with aclosing(ask(llama, api)) as pieces:
        return [piece async for piece in pieces]


async def fails(url: str, api: str, kind: type[AndonError], match: str, **more: Any) -> None:
    async with client(url, **more) as llama:
        with pytest.raises(kind, match=match) as caught:
            await read(llama, api)
        assert type(caught.value) is kind


@pytest.mark.parametrize("api", APIS)
async def test_nobody_listens(api: str) -> None:
    await fails(f"http://127.0.0.1:{free_port()}", api, Unavailable, "check llm_bridge.url")


async def test_health_of_nobody() -> None:
    async with client(f"http://127.0.0.1:{free_port()}") as llama:
        with pytest.raises(Unavailable):
            await llama.health()


async def test_no_route_takes_the_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[tuple[str, int]] = []

    async def speaks_tls(host: str, port: int) -> bool:
        probed.append((host, port))
        return False

    monkeypatch.setattr(probing, "speaks_tls", speaks_tls)
    # A full backlog answers nothing, like a host that is switched off.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(address)
            url = f"http://127.0.0.1:{address[1]}"
            await fails(url, "chat", Unavailable, "no connection within", connect_timeout_s=0.1)
        finally:
            for each in waiting:
                each.close()
    assert probed == [], "who does not even answer the connect is not asked for more"


STATUSES: list[tuple[int, Any, type[AndonError], str]] = [
    (503, {"error": {"code": 503, "message": "Loading model"}}, Retryable, "still loading"),
    (503, {"error": {"message": "no slot available"}}, Retryable, "no slot available"),
    (500, {"error": {"code": 500, "message": "out of memory"}}, Retryable, "out of memory"),
    (502, "<html>bad gateway</html>", Retryable, "error 502"),
    (429, "", Retryable, "too many requests"),
    (400, {"error": {"message": "key 'prompt' not found"}}, Rejected, "key 'prompt' not found"),
    (400, {"error": "a plain text"}, Rejected, "a plain text"),
    (401, {"error": {"message": "Invalid API Key"}}, Rejected, "set llm_bridge.api_key"),
    (404, "not found", NotOffered, "llm_bridge.url"),
    # vLLM, before and since 0.10; its web framework; its key's guard.
    (400, {"object": "error", "message": "too long", "code": 400}, Rejected, ": too long"),
    (400, {"error": {"message": "too long", "type": "BadRequestError"}}, Rejected, ": too long"),
    (422, {"detail": "not so"}, Rejected, ": not so"),
    (401, {"error": "Unauthorized"}, Rejected, "set llm_bridge.api_key"),
    # Ollama.
    (404, {"error": {"message": 'model "x" not found'}}, NotOffered, 'model "x" not found'),
    (302, "", Rejected, "error 302"),
]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("status", "body", "kind", "match"), STATUSES)
async def test_a_status_is_the_error_it_means(
    api: str, status: int, body: Any, kind: type[AndonError], match: str
) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers={"Location": "http://192.0.2.1/"})

    async with http_server(handler) as url:
        await fails(url, api, kind, match)


def stream_of(*chunks: bytes) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await event_stream(request)
        for chunk in chunks:
            await response.write(chunk)
        return response

    return handler


STREAMS: list[tuple[tuple[bytes, ...], type[AndonError], str]] = [
    ((), Retryable, "ended in the middle"),
    ((b'data: {"content":"a"',), Retryable, "ended in the middle"),
    ((event({"content": "a"}),), Retryable, "before the answer did"),
    ((b"data: [DONE]\n\n",), Retryable, "before the answer did"),
    ((b"data: hello\n\n",), BrokenOutput, "no JSON: b'hello'"),
    ((b'data: "\xff\xfe\x80"\n\n',), BrokenOutput, "no JSON"),
    ((b"data: [1]\n\n",), BrokenOutput, "something else than an object"),
    ((b"<html>", b"x" * (2 << 20)), BrokenOutput, "endless line"),
    (
        (event({"error": {"code": 500, "message": "does not match"}}),),
        BrokenOutput,
        "does not match",
    ),
    ((event({"error": {"code": 400, "message": "too long"}}),), Rejected, "too long"),
    ((b'error: {"code":500,"message":"slot"}\n\n',), BrokenOutput, "slot"),
    ((event({"error": "text"}),), BrokenOutput, "text"),
    ((event({"object": "error", "message": "no", "code": 400}),), Rejected, "no"),
]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("chunks", "kind", "match"), STREAMS)
async def test_a_broken_stream_is_the_error_it_means(
    api: str, chunks: tuple[bytes, ...], kind: type[AndonError], match: str
) -> None:
    async with http_server(stream_of(*chunks)) as url:
        await fails(url, api, kind, match)


ODD = [
    {"content": 5},
    {"choices": [{"delta": {"content": ["x"]}}]},
    {"choices": 5, "content": [1]},
    {"choices": ["x"], "timings": 3},
    {},
]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("data", ODD)
async def test_odd_shapes_are_errors_and_no_crash(api: str, data: Any) -> None:
    async with http_server(stream_of(event(data))) as url, client(url) as llama:
        with pytest.raises(Retryable):
            await read(llama, api)


async def test_comments_and_unknown_fields_are_passed_over() -> None:
    chunks = (
        b": ping\n\n",
        event({"choices": [{"delta": {"role": "assistant", "content": None}}]}),
        event({"choices": [{"delta": {"reasoning_content": "hm"}}], "x": 1}),
        event({"choices": [{"delta": {"content": "变"}}]}),
        event({"choices": [{"delta": {}, "finish_reason": "length"}]}),
        event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}),
        b"data: [DONE]\n\n",
    )
    async with http_server(stream_of(*chunks)) as url, client(url) as llama:
        assert await read(llama, "chat") == [
            Token("变"),
            Done(cut=True, prompt_tokens=7, cached_tokens=None, answer_tokens=2),
        ]


@pytest.mark.parametrize("api", APIS)
async def test_a_connection_lost_in_mid_stream(api: str) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = event(TOKEN[api])
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n40\r\ndata: {"
            % (len(data), data)
        )
        await writer.drain()

    async with tcp_server(talk) as url, client(url) as llama:
        pieces = ask(llama, api)
        assert await anext(pieces) == Token("a")
        with pytest.raises(Retryable, match="broke off"):
            await anext(pieces)


@pytest.mark.parametrize(
    ("garbage", "match"),
    [
        (b"", "broke off"),
        (b"\x00\xff\xfe garbage\r\n\r\n", "not HTTP"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
    ],
)
async def test_something_else_listens(garbage: bytes, match: str) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await writer.drain()

    async with tcp_server(talk) as url, client(url) as llama:
        with pytest.raises(Retryable, match=match):
            await read(llama, "chat")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("tokens", [0, 1])
async def test_too_slow(api: str, tokens: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await event_stream(request)
        for _ in range(tokens):
            await response.write(event(TOKEN[api]))
        await asyncio.Event().wait()
        return response

    async with http_server(handler) as url:
        await fails(url, api, DeadlineExceeded, "token_timeout_s", token_timeout_s=0.2)


async def test_no_reply_at_all() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with http_server(handler) as url:
        await fails(url, "chat", DeadlineExceeded, "a reply did not come", token_timeout_s=0.2)


@pytest.mark.parametrize("api", APIS)
async def test_leaving_an_endless_stream_closes_the_connection(api: str) -> None:
    left = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await event_stream(request)
        try:
            while True:
                await response.write(event(TOKEN[api]))
                await asyncio.sleep(0)
        except (asyncio.CancelledError, ConnectionError):
            left.set()
            raise

    async with http_server(handler) as url, client(url) as llama:
        async with aclosing(ask(llama, api)) as pieces:
            for _ in range(10):
                assert await anext(pieces) == Token("a")
            assert not left.is_set()
        async with asyncio.timeout(60):
            await left.wait()


@pytest.mark.parametrize("api", APIS)
async def test_cancelling_closes_the_connection(api: str) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await event_stream(request)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    async with http_server(handler) as url, client(url) as llama:
        task = asyncio.create_task(read(llama, api))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(60):
            await left.wait()


CALLS: list[tuple[Callable[[LlamaServer], Awaitable[Any]], Any]] = [
    (lambda llama: llama.props(), {}),
    (lambda llama: llama.props(), {"default_generation_settings": {"n_ctx": "x"}}),
    (lambda llama: llama.count_tokens("x"), {}),
    (lambda llama: llama.apply_template([]), {"prompt": 1}),
]


@pytest.mark.parametrize(("call", "body"), CALLS)
async def test_answers_of_another_server_are_broken(
    call: Callable[[LlamaServer], Awaitable[Any]], body: Any
) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    async with http_server(handler) as url, client(url) as llama:
        with pytest.raises(BrokenOutput):
            await call(llama)


async def test_a_reply_without_end_is_left() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"[" * 65536)

    async with http_server(handler) as url, client(url) as llama:
        with pytest.raises(BrokenOutput, match="endless reply"):
            await llama.props()


async def test_tls_is_checked_against_the_authority(tmp_path: Path) -> None:
    signed = Authority(tmp_path).sign("model")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(signed.cert, signed.key)

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer k"
        return web.json_response({"status": "ok"})

    async with http_server(handler, tls) as url:
        async with client(url, ca=str(signed.ca), api_key="k") as llama:
            await llama.health()
        async with client(url, api_key="k") as llama:
            with pytest.raises(Unavailable, match="certificate"):
                await llama.health()


@pytest.mark.parametrize(
    "url", ["localhost:8080", "mqtt://x", "http://", "http://x:port", "http://[::"]
)
async def test_a_wrong_address_stops_the_process(url: str) -> None:
    with pytest.raises(Fatal, match="http://127"):
        LlamaServer(Bridge(url=url))


async def test_a_missing_authority_stops_the_process(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"llm_bridge\.ca"):
        LlamaServer(Bridge(url="https://127.0.0.1:1", ca=str(tmp_path / "none.pem")))
