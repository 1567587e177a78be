"""A llama-server that takes its time: it begins an answer and ends it when the test says so."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.support.http_server import event, event_stream

PROPS = {
    "model_alias": "slow",
    "total_slots": 1,
    "default_generation_settings": {"n_ctx": 4096},
}


class Hanging:
    """The handler of `http_server`."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.go = asyncio.Semaphore(0)
        self.left = asyncio.Event()

    async def __call__(self, asked: web.Request) -> web.StreamResponse:
        match asked.path:
            case "/health":
                return web.json_response({"status": "ok"})
            case "/props":
                return web.json_response(PROPS)
            case "/tokenize":
                return web.json_response({"tokens": [0] * 100})
        prompt = (await asked.json())["prompt"]
        self.questions.append(prompt.rpartition("<question>\n")[2].split("\n")[0])
        response = await event_stream(asked)
        await response.write(event({"content": '{"summary":"', "stop": False}))
        try:
            await self.go.acquire()
        except asyncio.CancelledError:
            self.left.set()
            raise
        rest = 'ok","causes":[],"actions":[]}'
        await response.write(event({"content": rest, "stop": False}))
        await response.write(event({"content": "", "stop": True, "stop_type": "eos"}))
        return response
