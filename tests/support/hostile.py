"""A model's server that goes wrong on demand, each way by its name; well behaved otherwise.

Its good answer repeats the beginning of the prompt's first passage, so that it stands on it.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web

from tests.support.http_server import event, event_stream, http_server

PROPS = {
    "model_alias": "hostile",
    "default_generation_settings": {"n_ctx": 8192},
    "total_slots": 1,
}


class Hostile:
    """The handler of `http_server`."""

    def __init__(self) -> None:
        self.trouble = ""
        """What is wrong, a name of `TROUBLES`; empty for nothing."""
        self.times = -1
        """How often it still goes wrong; negative: always."""
        self.asked = 0
        """Requests for an answer."""
        self.elsewhere = 0
        """Requests that followed a redirect."""
        self.url = ""

    async def __call__(self, asked: web.Request) -> web.StreamResponse:
        if self.trouble == "loading":
            return _error(503, "Loading model")
        body = await asked.json() if asked.can_read_body else {}
        if (plain := _plain(asked.path, body)) is not None:
            return web.json_response(plain)
        if asked.path == "/elsewhere":
            self.elsewhere += 1
        self.asked += 1
        if self.trouble and self.times != 0:
            self.times -= 1
            response: web.StreamResponse = await getattr(self, f"_{self.trouble}")(asked)
            return response
        return await _written(asked, _good(body["messages"][-1]["content"]))

    async def _out_of_memory(self, _: web.Request) -> web.StreamResponse:
        return _error(500, "Compute error: failed to allocate buffer of 4096 MiB")

    async def _dies(self, asked: web.Request) -> web.StreamResponse:
        _hang_up(asked)
        return web.Response()

    async def _half_open(self, _: web.Request) -> web.StreamResponse:
        return await _for_ever()

    async def _slow(self, asked: web.Request) -> web.StreamResponse:
        await event_stream(asked)
        return await _for_ever()

    async def _stalls(self, asked: web.Request) -> web.StreamResponse:
        response = await event_stream(asked)
        await response.write(_piece('{"summary": "The bus'))
        return await _for_ever()

    async def _endless(self, asked: web.Request) -> web.StreamResponse:
        response = await event_stream(asked)
        await response.write(_piece('{"summary": "'))
        while True:
            await response.write(_piece("and on "))

    async def _endless_line(self, asked: web.Request) -> web.StreamResponse:
        response = await event_stream(asked)
        while True:
            await response.write(b"x" * 65536)

    async def _cut_off(self, asked: web.Request) -> web.StreamResponse:
        response = await event_stream(asked)
        await response.write(_piece('{"summary": "The bus'))
        _hang_up(asked)
        return response

    async def _wrong_schema(self, asked: web.Request) -> web.StreamResponse:
        return await _written(asked, '{"answer": [1, 2, 3]}')

    async def _no_json(self, asked: web.Request) -> web.StreamResponse:
        return await _written(asked, "I am sorry, but I cannot do that.")

    async def _not_utf8(self, asked: web.Request) -> web.StreamResponse:
        response = await event_stream(asked)
        await response.write(b'data: {"choices": [{"delta": {"content": "\xff\xfe\x80"}}]}\n\n')
        return response

    async def _redirects(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{self.url}/elsewhere"})

    async def _huge_error(self, asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(asked)
        while True:
            await response.write(b"<p>" * 65536)

    async def _deep_error(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="[" * 30_000)


TROUBLES = {
    "loading": "still loading",
    "out_of_memory": "ran out of memory",
    "dies": "broke off",
    "half_open": "a reply did not come",
    "slow": "the next token did not come",
    "stalls": "the next token did not come",
    "endless": "does not end",
    "endless_line": "an endless line",
    "cut_off": "broke off",
    "wrong_schema": "form asked for",
    "no_json": "form asked for",
    "not_utf8": "no JSON",
    "redirects": "sends us elsewhere",
    "huge_error": "error 500",
    "deep_error": "error 500",
}
"""Each trouble, and what the bridge says of it."""


@asynccontextmanager
async def hostile() -> AsyncIterator[Hostile]:
    """Serve in this loop for as long as the block lasts."""
    server = Hostile()
    async with http_server(server) as server.url:
        yield server


@contextmanager
def hostile_beside() -> Iterator[Hostile]:
    """Serve in a thread of its own, for tests without a loop."""
    ready, over = threading.Event(), threading.Event()
    made: list[Hostile] = []

    async def serve() -> None:
        async with hostile() as server:
            made.append(server)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(60)
        yield made[0]
    finally:
        over.set()
        thread.join()


def _plain(path: str, body: Any) -> dict[str, Any] | None:
    """Return what is answered to everything but a request for an answer."""
    match path:
        case "/health":
            return {"status": "ok"}
        case "/v1/models":
            return {"data": [{"id": "hostile", "meta": {"size": 1}}]}
        case "/props":
            return PROPS
        case "/tokenize":
            return {"tokens": [0] * (len(body["content"]) // 4)}
        case "/apply-template":
            return {"prompt": "\n".join(m["content"] for m in body["messages"])}
    return None


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message}}, status=status)


def _piece(text: str, finish: str | None = None) -> bytes:
    return event({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})


async def _written(asked: web.Request, text: str) -> web.StreamResponse:
    response = await event_stream(asked)
    for start in range(0, len(text), 9):
        await response.write(_piece(text[start : start + 9]))
    await response.write(_piece("", "stop") + b"data: [DONE]\n\n")
    return response


async def _for_ever() -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


def _hang_up(asked: web.Request) -> None:
    """End the connection without a goodbye, as a process that is killed does."""
    assert asked.transport is not None
    asked.transport.abort()


def _good(prompt: str) -> str:
    found = re.search(r"<passage[^>]*>\s*([^\n<]+)", prompt)
    point = {"text": found[1].strip()[:80] if found else "nothing", "passages": [1]}
    return json.dumps({"summary": point["text"], "causes": [point], "actions": [point]})
