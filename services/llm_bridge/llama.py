"""The model's server over HTTP: completion, chat, tokens.

The servers' differences, as far as they matter here:

- Schema: all three hold an answer to `response_format` of type `json_schema` (Ollama from 0.5 on).
- Thinking aloud is turned off by `chat_template_kwargs` (llama-server, vLLM) or by
  `reasoning_effort` (Ollama, which passes over the other).
- Usage comes in a last event without choices when asked for by `stream_options`; what was reused
  from the cache is in `timings` (llama-server) or in `prompt_tokens_details` (vLLM, when it is
  started with `--enable-prompt-tokens-details`); Ollama does not tell.
- Ollama and older vLLM must be told the model's name, which `props` finds.
- vLLM counts a whole chat by `/tokenize`; llama-server makes the prompt by `/apply-template` and
  counts that; Ollama counts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from services.llm_bridge import errors, props
from services.llm_bridge.connection import Connection
from services.llm_bridge.errors import NotOffered
from services.llm_bridge.fields import Json, integer, obj, objects
from services.llm_bridge.identity import LoadedFile, on_disk
from services.llm_bridge.props import Props
from services.runtime.config import Bridge
from services.runtime.errors import AndonError

# A model that thinks aloud first spends the whole answer's room on it.
_NO_THINKING = {"enable_thinking": False}
_DESCRIBE_S = 1.0
"""A server tells of its model's file at once, or not at all."""
_HERE = {"localhost", "127.0.0.1", "::1"}


class Message(msgspec.Struct, frozen=True):
    """One message of a chat."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str
    """Its text."""


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is to be written."""

    schema: Json
    """JSON schema that holds it in form."""
    max_tokens: int
    """Room for it."""
    temperature: float
    """0 is always the same answer; more is freer."""
    seed: int = 0
    """Of the choices."""
    slot: int | None = None
    """Where llama-server works it out; None: where it likes."""
    cache: bool = True
    """Whether it may reuse what the slot read before."""


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
    cached_tokens: int | None
    """Of these, reused from an earlier request; None where the server does not tell."""
    answer_tokens: int
    """Tokens written."""


class LlamaServer:
    """A client of one server.

    It is asked to tell how far it has read a prompt. Otherwise it notices only with its first word
    that nobody listens any more, which on a slow box is minutes later, and nobody could tell a
    slow one from one that hangs. It looks after each batch (`-b`).

    All methods raise:
        Unavailable: nobody listens, or the certificate is not trusted.
        Retryable: the model is loading, the server failed, or the connection broke off.
        BrokenOutput: what came is not what such a server sends.
        DeadlineExceeded: nothing came for `token_timeout_s`.
        Rejected: the server refused the request; the reason is its own words.
    """

    def __init__(self, settings: Bridge) -> None:
        self._settings = settings
        self._http = Connection(settings)
        self._props = Props(model=settings.model)
        self._here = urlsplit(settings.url).hostname in _HERE
        self._file = LoadedFile()
        self._described = ""
        """What the server told of a file that cannot be looked at, when it was first asked."""
        self._away = True
        """Whether it could not be asked the last time, and may have started since."""
        self.began_with = ""
        """What told the model's file from others when the server began; empty: not known."""

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

    @property
    def replaced(self) -> bool:
        """Whether the model's file is another one now than the one the server has read."""
        return self._file.replaced

    def loads_anew(self) -> None:
        """Know that the server reads the model's file again."""
        self._away = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def health(self) -> None:
        """Return when the server is up and its model loaded; raise otherwise."""
        async with self._http.send("GET", "/health", None):
            pass  # its status says all; a body may have no end

    async def props(self) -> Props:
        """Ask the server what it is, and speak its dialect from then on.

        Raises:
            Rejected: besides, it does not have the model of the configuration.
        """
        started, self._away = self._away, True
        with suppress(NotOffered):
            await self.health()
        named = self.routed or self._settings.model
        found = await props.ask(self._http, named)
        if found.kind == "llama":
            found = props.marked(found, await self._file_of(found, named, started=started))
        self._props, self._away = found, False
        return found

    async def _file_of(self, found: Props, named: str, *, started: bool) -> str:
        """Return what tells the model's file from others under the same name."""
        now = await on_disk(found.path) if self._here and Path(found.path).is_absolute() else ""
        mark = self._file.mark(found.path, now, started=started, known=self.began_with)
        if started and not mark:
            self._described = ""
            # Whatever comes of it, the model can be asked all the same.
            with suppress(AndonError, TimeoutError):
                async with asyncio.timeout(_DESCRIBE_S):
                    self._described = await props.described(self._http, named)
        return mark or self._described

    async def count_tokens(self, text: str) -> int:
        """Return how many tokens the text is as a prompt, special tokens included."""
        return len(await self._tokens(text, pieces=False))

    async def token_lengths(self, text: str) -> list[int] | None:
        """Return the length of each token of the text, UTF-8 bytes.

        None where the server does not tell. A token that stands for no text has its own spelling's
        length, so the sum may be some bytes more than the text's.
        """
        if self._props.kind != "llama":
            return None
        pieces = [each.get("piece") for each in await self._tokens(text, pieces=True)]
        # A token that ends within a character comes as a list of its bytes.
        return [len(p.encode() if isinstance(p, str) else p or ()) for p in pieces]

    async def _tokens(self, text: str, *, pieces: bool) -> list[Any]:
        body = {
            **self._named(),
            "content": text,
            "add_special": True,
            "parse_special": True,
            "with_pieces": pieces,
        }
        tokens = (await self._http.json("POST", "/tokenize", body)).get("tokens")
        if not isinstance(tokens, list) or (
            pieces and not all(isinstance(t, dict) for t in tokens)
        ):
            raise errors.garbled("/tokenize without tokens", str(tokens))
        return tokens

    async def count_chat(self, messages: list[Message]) -> int:
        """Return the tokens of a chat's whole prompt, as vLLM counts them."""
        body = {
            **self._named(),
            "messages": msgspec.to_builtins(messages),
            "chat_template_kwargs": _NO_THINKING,
        }
        count = (await self._http.json("POST", "/tokenize", body)).get("count")
        if not isinstance(count, int):
            raise errors.garbled("/tokenize without a count", str(count))
        return count

    async def apply_template(self, messages: list[Message]) -> str:
        """Return the prompt the model's chat template makes of the messages."""
        body = {
            **self._named(),
            "messages": msgspec.to_builtins(messages),
            "chat_template_kwargs": _NO_THINKING,
        }
        prompt = (await self._http.json("POST", "/apply-template", body)).get("prompt")
        if not isinstance(prompt, str):
            raise errors.garbled("/apply-template without a prompt", str(prompt))
        return prompt

    async def complete(self, prompt: str, how: Writing) -> AsyncGenerator[Token | Done, None]:
        """Continue a prompt by `/completion`; the JSON schema holds the answer in form.

        The last piece is `Done`. Closing the generator early stops the server.
        """
        body = {
            **self._named(),
            "prompt": prompt,
            "n_predict": how.max_tokens,
            "temperature": how.temperature,
            "seed": how.seed,
            "json_schema": how.schema,
            "cache_prompt": how.cache,
            "stream": True,
            "return_progress": True,
        }
        if how.slot is not None:
            body["id_slot"] = how.slot
        last: Json = {}
        async with aclosing(self._http.events("/completion", body)) as events:
            async for event in events:
                if text := event.get("content"):
                    yield Token(_text(text))
                last = event
        if not last.get("stop"):
            raise errors.cut_off("the stream ended before the answer did")
        timings = obj(last, "timings")
        yield Done(
            cut=last.get("stop_type") == "limit" or bool(last.get("truncated")),
            prompt_tokens=integer(last, "tokens_evaluated"),
            cached_tokens=integer(timings, "cache_n") if "cache_n" in timings else None,
            answer_tokens=integer(last, "tokens_predicted"),
        )

    async def chat(
        self, messages: list[Message], how: Writing
    ) -> AsyncGenerator[Token | Done, None]:
        """Answer a chat by `/v1/chat/completions`; else as `complete`."""
        finish: Any = None
        timings: Json = {}
        usage: Json = {}
        body = self._chat_body(messages, how)
        async with aclosing(self._http.events("/v1/chat/completions", body)) as events:
            async for event in events:
                timings = obj(event, "timings") or timings
                usage = obj(event, "usage") or usage
                for choice in objects(event, "choices"):
                    finish = choice.get("finish_reason") or finish
                    if text := obj(choice, "delta").get("content"):
                        yield Token(_text(text))
        if not finish:
            raise errors.cut_off("the stream ended before the answer did")
        prompt = integer(timings, "prompt_n") + integer(timings, "cache_n")
        cached = {**obj(usage, "prompt_tokens_details"), **timings}
        told = [integer(cached, key) for key in ("cache_n", "cached_tokens") if key in cached]
        yield Done(
            cut=finish == "length",
            prompt_tokens=integer(usage, "prompt_tokens") or prompt,
            cached_tokens=told[0] if told else None,
            answer_tokens=integer(usage, "completion_tokens") or integer(timings, "predicted_n"),
        )

    def _chat_body(self, messages: list[Message], how: Writing) -> Json:
        body: Json = {
            **self._named(),
            "messages": msgspec.to_builtins(messages),
            "max_tokens": how.max_tokens,
            "temperature": how.temperature,
            "seed": how.seed,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": how.schema},
            },
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._props.kind == "ollama":
            # One that does not think refuses to be told not to in some versions.
            return {**body, "reasoning_effort": "none"} if self._props.thinks else body
        body["chat_template_kwargs"] = _NO_THINKING
        if self._props.kind == "llama":
            body["cache_prompt"] = how.cache
            body["return_progress"] = True
            if how.slot is not None:
                body["id_slot"] = how.slot
        return body

    def _named(self) -> Json:
        """Return the model's name where the server must be told it."""
        told = self._props.kind in ("vllm", "ollama")
        name = self._props.model if told else self.routed or self._settings.model
        return {"model": name} if name else {}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise errors.garbled("text that is none", str(value))
    return value
