"""What the model's server did wrong, as errors that say what the caller does next."""

from __future__ import annotations

import json
import re
import ssl
from typing import Any

from services.runtime import tls
from services.runtime.errors import AndonError, DeadlineExceeded, Rejected, Retryable, Unavailable

SERVER = "ask the language model"
"""The operation these errors name."""


_LONGEST = 300
"""Characters of a server's own words: they stand in answers and in the status."""
_MEMORY = re.compile(
    r"out of (?:device )?memory|alloc|compute error|context size has been exceeded", re.IGNORECASE
)
"""How llama-server's errors 500 say that there was no room."""
_TLS_PORT = re.compile(r"HTTP request (?:was sent )?to (?:an )?HTTPS", re.IGNORECASE)
_URL, _CA = "llm_bridge.url", "llm_bridge.ca"


class BrokenOutput(Retryable):
    """The model wrote something that is not the answer asked for; another try may do better."""


class NotOffered(Rejected):
    """The server has no such address: it is another program, or another model."""


def endless(length: int) -> BrokenOutput:
    """The server does not keep to the length asked for."""
    return BrokenOutput(SERVER, f"the answer has {length} characters and does not end")


def away(url: str, reason: str) -> Unavailable:
    """Nobody listens at the address."""
    return Unavailable(
        SERVER, f"{url}: {reason}", "check llm_bridge.url and that llama-server runs"
    )


def untrusted(url: str, error: ssl.SSLError, ca: str) -> Unavailable:
    """The TLS connection came to nothing."""
    reason, hint = tls.told(error, url_key=_URL, ca=ca, ca_key=_CA)
    return Unavailable(SERVER, f"{url}: {reason}", hint)


def plain(url: str) -> Unavailable:
    """The address says https, and the server speaks HTTP."""
    reason, hint = tls.plain(_URL)
    return Unavailable(SERVER, f"{url}: {reason}", hint)


def encrypted(url: str) -> Unavailable:
    """The address says http, and the server speaks TLS."""
    reason, hint = tls.encrypted(_URL, _CA)
    return Unavailable(SERVER, f"{url}: {reason}", hint)


def loading() -> Retryable:
    """The server is up and its model is not."""
    return Retryable(SERVER, "the model is still loading", "it answers in a moment")


def slow(what: str, seconds: float) -> DeadlineExceeded:
    """Nothing came for too long."""
    return DeadlineExceeded(
        SERVER,
        f"{what} did not come within {seconds:g} s",
        "raise llm_bridge.token_timeout_s, or use a smaller model",
    )


def cut_off(reason: str) -> Retryable:
    """The connection ended in the middle of the answer."""
    return Retryable(
        SERVER,
        f"the answer broke off: {reason}",
        "llama-server may have ended, for want of memory perhaps: look at its log",
    )


def garbled(what: str, found: str | bytes) -> BrokenOutput:
    """What came is not what llama-server sends."""
    return BrokenOutput(
        SERVER,
        f"{what}: {found[:80]!r}",
        "check that llm_bridge.url is a llama-server and llm_bridge.api fits it",
    )


def refused(status: int, body: bytes, *, key: bool = False) -> AndonError:
    """Turn an HTTP status of 300 or more, and its body, into the error it means.

    Args:
        status: of the reply.
        body: of the reply.
        key: whether an API key was sent.
    """
    message = _message(body)[:_LONGEST]
    if status in (429, 503) or (status >= 500 and status != 501):
        return _failing(status, message)
    reason = f"error {status}: {message}".rstrip(": ")
    if status < 400:
        return Rejected(
            SERVER, f"it sends us elsewhere: {reason}", "name the server itself in llm_bridge.url"
        )
    if status in (404, 405, 501):
        return NotOffered(SERVER, reason, "check llm_bridge.url, .api and .model")
    if status in (401, 403):
        return _no_entry(reason, key=key)
    return Rejected(SERVER, reason)


def asks_for_tls(status: int, body: bytes) -> bool:
    """Return whether a refusal says that the port is one of TLS, as nginx and Go's servers do."""
    return status == 400 and bool(_TLS_PORT.search(body.decode("utf-8", "replace")))


def _no_entry(reason: str, *, key: bool) -> Rejected:
    what = "it does not accept the API key" if key else "it wants an API key, none is configured"
    hint = "set llm_bridge.api_key to the one the server was started with (--api-key)"
    return Rejected(SERVER, f"{what}: {reason}", hint)


def _failing(status: int, message: str) -> Retryable:
    """Return what a status means that may be another one in a moment."""
    if status == 503 and "load" in message.lower():
        return loading()
    if status in (429, 503):
        return Retryable(SERVER, message or ("busy" if status == 503 else "too many requests"))
    if _MEMORY.search(message):
        return Retryable(
            SERVER,
            f"the server ran out of memory: {message}",
            "start llama-server with a smaller context (-c), fewer slots (-np) or a smaller model",
        )
    return Retryable(SERVER, f"error {status}: {message}", "look at llama-server's log")


def in_stream(error: Any) -> AndonError:
    """Turn an `error` frame in the middle of a stream into the error it means."""
    if not isinstance(error, dict):
        return garbled("an error without a form", str(error))
    status = error.get("code")
    if isinstance(status, int) and 400 <= status < 500:
        return refused(status, json.dumps({"error": error}).encode())
    # llama-server's chat parser ends a stream so when the output stopped in the middle of the JSON.
    return BrokenOutput(SERVER, str(error.get("message") or error), "look at llama-server's log")


def may_pass(error: Retryable) -> bool:
    """Return whether the same request may do better in a moment.

    One that was too slow is not quicker then, and what is not in form was tried again already.
    """
    return not isinstance(error, DeadlineExceeded | BrokenOutput)


def _message(body: bytes) -> str:
    """Return what an error's body says, for a person; the text itself where it says nothing.

    llama-server, Ollama and OpenAI put it into `error.message`, older vLLM into `message`, and
    vLLM's web framework into `detail`.
    """
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        error = found.get("error") or found
        said = error
        if isinstance(error, dict):
            said = error.get("message") or error.get("detail")
        if isinstance(said, str) and said:
            return said
    return " ".join(text.split())[:200]
