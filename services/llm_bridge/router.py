"""llama-server's router mode: one address, several models, loaded and unloaded by request.

A router is a llama-server that was started without a model, with `--models-dir` perhaps. It starts
a process a model and passes requests on by the `model` they name (llama.cpp,
tools/server/README.md, "Using multiple models").
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from services.llm_bridge import errors
from services.llm_bridge.connection import Connection
from services.llm_bridge.errors import NotOffered
from services.llm_bridge.fields import Json
from services.runtime.config import Bridge
from services.runtime.errors import DeadlineExceeded, Rejected

_LOOK_S = 0.1
_LOAD = "load the model"
State = Literal["unloaded", "loading", "loaded", "other"]
_STATES: dict[Any, State] = {
    "unloaded": "unloaded",
    "loading": "loading",
    "loaded": "loaded",
    "sleeping": "loaded",
}


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a router knows."""

    id: str
    """By which requests name it."""
    path: str
    """Its file; empty where the router does not tell."""
    state: State
    """`loaded` may be asleep: a request wakes it. `other`: being downloaded."""
    failed: str = ""
    """How its process ended, where it failed."""
    context: int = 0
    """Tokens of all slots it is started with; 0: the router's options do not say."""
    slots: int = 0
    """Requests at the same time; 0: not said."""

    def is_of(self, path: str) -> bool:
        """Return whether it is the model of a file; a router may tell a path from where it is."""
        return bool(self.path) and (path == self.path or path.endswith(f"/{self.path}"))


class Router:
    """A client of a router's own addresses; its methods raise as `LlamaServer`'s do."""

    def __init__(self, settings: Bridge) -> None:
        self._http = Connection(settings)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def is_one(self) -> bool:
        """Return whether the server is a router."""
        try:
            return (await self._http.json("GET", "/props")).get("role") == "router"
        except NotOffered:
            return False

    async def models(self, *, again: bool = False) -> list[Routed]:
        """Return what it knows.

        Args:
            again: have it look at its folder again; a model that runs and whose file is gone or
                new is then unloaded.
        """
        told = await self._http.json("GET", "/models?reload=1" if again else "/models")
        data = told.get("data")
        if not isinstance(data, list):
            raise errors.garbled("/models without a list", str(told))
        return [_routed(each) for each in data if isinstance(each, dict) and each.get("id")]

    async def find(self, path: str) -> Routed:
        """Return the model of a file.

        Raises:
            Rejected: the router does not know it.
        """
        for again in (False, True):
            for model in await self.models(again=again):
                if model.is_of(path):
                    return model
        raise Rejected(
            _LOAD,
            f"the router does not know {path}",
            "start llama-server with --models-dir naming its folder, or copy it into that folder",
        )

    async def load(self, model: str) -> None:
        """Have it begin to load a model."""
        await self._http.json("POST", "/models/load", {"model": model})

    async def loaded(self, model: str, within_s: float) -> None:
        """Load a model that is not, and wait until it is.

        Raises:
            Rejected: it failed.
            DeadlineExceeded: it is not there in time.
        """
        if (await self._one(model)).state == "unloaded":
            await self.load(model)
        try:
            async with asyncio.timeout(within_s):
                while (known := await self._one(model)).state != "loaded":
                    if known.state == "unloaded" and known.failed:
                        hint = "look at llama-server's log"
                        raise Rejected(_LOAD, f"{model}: its server {known.failed}", hint)
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            reason = f"{model} is not ready after {within_s:g} s"
            raise DeadlineExceeded(_LOAD, reason, "raise llm_bridge.load_within_s") from None

    async def unloaded(self, keep: Sequence[str], within_s: float) -> None:
        """Unload all others, and wait until they are: there is room for one.

        Raises:
            DeadlineExceeded: one does not end.
        """
        others = [m.id for m in await self.models() if m.id not in keep and m.state != "unloaded"]
        for model in others:
            await self._http.json("POST", "/models/unload", {"model": model})
        try:
            async with asyncio.timeout(within_s):
                for model in others:
                    while (await self._one(model)).state != "unloaded":  # noqa: ASYNC110  by HTTP
                        await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise DeadlineExceeded("unload the model", f"it runs on after {within_s:g} s") from None

    async def _one(self, model: str) -> Routed:
        for known in await self.models():
            if known.id == model:
                return known
        raise Rejected(_LOAD, f"the router does not know {model} any more")


def _routed(told: Json) -> Routed:
    status = told.get("status")
    status = status if isinstance(status, dict) else {}
    args: list[Any] = status["args"] if isinstance(status.get("args"), list) else []
    value = status.get("value")
    code = status.get("exit_code")
    return Routed(
        id=str(told["id"]),
        path=_option(args, "-m", "--model"),
        state=_STATES.get(value, "other"),
        failed=f"ended with code {code}" if status.get("failed") else "",
        context=_number(_option(args, "-c", "--ctx-size")),
        slots=_number(_option(args, "-np", "--parallel")),
    )


def _option(args: Sequence[Any], *names: str) -> str:
    """Return the value of a command line's option, empty where it is not given."""
    for name, value in pairwise(args):
        if name in names:
            return str(value)
    return ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
