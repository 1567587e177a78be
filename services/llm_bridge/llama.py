"""llama-server over HTTP: completion, chat, health, properties, tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import PurePath
from typing import Any, Self

import msgspec

from services.llm_bridge import errors
from services.llm_bridge.connection import Connection, Json
from services.runtime.config import Bridge


class Message(msgspec.Struct, frozen=True):
    """One message of a chat."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str
    """Its text."""


class Props(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of itself."""

    model: str
    """Name of the model: its alias, or its file without folder and ending."""
    context: int
    """Tokens of prompt and answer together, for one request."""
    slots: int
    """Requests it works on at the same time."""


class Token(msgspec.Struct, frozen=True):
    """Text as it is written; one or more tokens of the model."""

    text: str
    """To append."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an answer."""

    cut: bool
    """Whether `max_tokens` or the context ended it, not the model."""
    prompt_tokens: int
    """Tokens of the prompt, cached ones included."""
    cached_tokens: int
    """Of these, reused from an earlier request."""
    answer_tokens: int
    """Tokens written."""


class LlamaServer:
    """A client of one server.

    All methods raise:
        Unavailable: nobody listens, or the certificate is not trusted.
        Retryable: the model is loading, the server failed, or the connection broke off.
        BrokenOutput: what came is not what llama-server sends.
        DeadlineExceeded: nothing came for `token_timeout_s`.
        Rejected: the server refused the request; the reason is its own words.
    """

    def __init__(self, settings: Bridge) -> None:
        self._settings = settings
        self._http = Connection(settings)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    @property
    def routed(self) -> str:
        """The model asked for, where a router has several; empty otherwise."""
        return self._http.routed

    def route(self, model: str) -> None:
        """Ask for this model from now on, where a router has several."""
        self._http.routed = model

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def health(self) -> None:
        """Return when the server is up and its model loaded; raise otherwise."""
        async with self._http.send("GET", "/health", None) as response:
            await response.read()

    async def props(self) -> Props:
        """Return the model's name, context and slots.

        Raises:
            Rejected: the server has no `/props`, so it is not llama-server.
        """
        data = await self._http.json("GET", "/props")
        try:
            name = str(data.get("model_alias") or data.get("model_path") or "model")
            return Props(
                # Without an alias llama-server gives the path of the file.
                model=PurePath(name).name.removesuffix(".gguf"),
                context=int(data["default_generation_settings"]["n_ctx"]),
                slots=max(1, int(data.get("total_slots", 1))),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise errors.garbled("/props without a context size", str(data)) from error

    async def count_tokens(self, text: str) -> int:
        """Return how many tokens the text is as a prompt, special tokens included."""
        body = {"content": text, "add_special": True, "parse_special": True}
        tokens = (await self._http.json("POST", "/tokenize", body)).get("tokens")
        if not isinstance(tokens, list):
            raise errors.garbled("/tokenize without tokens", str(tokens))
        return len(tokens)

    async def apply_template(self, messages: list[Message]) -> str:
        """Return the prompt the model's chat template makes of the messages."""
        body = {"messages": msgspec.to_builtins(messages)}
        prompt = (await self._http.json("POST", "/apply-template", body)).get("prompt")
        if not isinstance(prompt, str):
            raise errors.garbled("/apply-template without a prompt", str(prompt))
        return prompt

    async def complete(
        self, prompt: str, *, schema: Json, max_tokens: int, temperature: float
    ) -> AsyncGenerator[Token | Done, None]:
        """Continue a prompt by `/completion`; the JSON schema holds the answer in form.

        The last piece is `Done`. Closing the generator early stops the server.
        """
        body = {
            "prompt": prompt,
            "n_predict": max_tokens,
            "temperature": temperature,
            "json_schema": schema,
            "cache_prompt": True,
            "stream": True,
        }
        last: Json = {}
        async with aclosing(self._http.events("/completion", body)) as events:
            async for event in events:
                if text := event.get("content"):
                    yield Token(_text(text))
                last = event
        if not last.get("stop"):
            raise errors.cut_off("the stream ended before the answer did")
        yield Done(
            cut=last.get("stop_type") == "limit" or bool(last.get("truncated")),
            prompt_tokens=_int(last, "tokens_evaluated"),
            cached_tokens=_int(_dict(last, "timings"), "cache_n"),
            answer_tokens=_int(last, "tokens_predicted"),
        )

    async def chat(
        self, messages: list[Message], *, schema: Json, max_tokens: int, temperature: float
    ) -> AsyncGenerator[Token | Done, None]:
        """Answer a chat by `/v1/chat/completions`; else as `complete`."""
        body = {
            "messages": msgspec.to_builtins(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
            "cache_prompt": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            # A model that thinks aloud first spends the whole answer's room on it.
            "chat_template_kwargs": {"enable_thinking": False},
        }
        if self._settings.model:
            body["model"] = self._settings.model
        finish: Any = None
        timings: Json = {}
        usage: Json = {}
        async with aclosing(self._http.events("/v1/chat/completions", body)) as events:
            async for event in events:
                timings = _dict(event, "timings") or timings
                usage = _dict(event, "usage") or usage
                for choice in _objects(event, "choices"):
                    finish = choice.get("finish_reason") or finish
                    if text := _dict(choice, "delta").get("content"):
                        yield Token(_text(text))
        if not finish:
            raise errors.cut_off("the stream ended before the answer did")
        prompt, cached = _int(timings, "prompt_n"), _int(timings, "cache_n")
        details = _dict(usage, "prompt_tokens_details")
        yield Done(
            cut=finish == "length",
            prompt_tokens=_int(usage, "prompt_tokens") or prompt + cached,
            cached_tokens=cached or _int(details, "cached_tokens"),
            answer_tokens=_int(usage, "completion_tokens") or _int(timings, "predicted_n"),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise errors.garbled("text that is none", str(value))
    return value


def _dict(event: Json, key: str) -> Json:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


def _objects(event: Json, key: str) -> Iterator[Json]:
    value = event.get(key)
    return (
        (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
    )


def _int(event: Json, key: str) -> int:
    value = event.get(key)
    return value if isinstance(value, int) else 0
