"""The HTTP connection to the model's server: requests, streams, and troubles as clear errors."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import msgspec

from services.llm_bridge import errors
from services.llm_bridge.fields import Json
from services.llm_bridge.sse import Events
from services.runtime.config import Bridge
from services.runtime.errors import Fatal

_ERROR_BODY = 64 * 1024
"""As much of an error's body is read, bytes."""
_BODY = 16 * 1024 * 1024
"""A reply longer than this is none of ours, bytes; the tokens of a long prompt take a tenth."""


class Connection:
    """HTTP to one server; one TCP connection a request, so that closing it stops the server.

    Raises:
        Fatal: the address or the authority's file is wrong.
    """

    def __init__(self, settings: Bridge) -> None:
        self._settings = settings
        self._url = _address(settings.url)
        self._ssl = _tls(settings.ca) if settings.ca else True
        self._session: aiohttp.ClientSession | None = None
        self.routed = ""
        """Model that every request is for, where a router has several; empty: none is named."""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def json(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: dict[str, str] | None = None,
    ) -> Json:
        """Return the object that answers a request."""
        path = f"{path}?{urlencode(query)}" if query else path
        async with self.send(method, path, body) as response:
            return _decode(await _whole(response))

    async def events(self, path: str, body: Json) -> AsyncGenerator[Json, None]:
        """Yield the events of a streamed reply until `[DONE]`, or the end of the stream."""
        events, seen = Events(), False
        async with self.send("POST", path, body) as response:
            async for chunk in response.content.iter_any():
                try:
                    complete = events.feed(chunk)
                except ValueError as error:
                    raise errors.garbled(str(error), chunk) from error
                for data in complete:
                    if data == b"[DONE]":
                        return
                    event = _decode(data)
                    if failure := event.get("error"):
                        raise errors.in_stream(failure)
                    if event.get("object") == "error":  # vLLM before 0.10 has no frame around it
                        raise errors.in_stream(event)
                    seen = True
                    yield event
            if events.pending or not seen:
                raise errors.cut_off("the stream ended in the middle")

    @asynccontextmanager
    async def send(
        self, method: str, path: str, body: Json | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, turn every trouble until the end of the block into one clear error."""
        if self.routed:
            # A router would load a model that is not, beside the one in use, or in its place.
            base, _, query = path.partition("?")
            named = f"autoload=false&model={quote(self.routed, safe='')}"  # the first one counts
            path = f"{base}?{named}&{query}".rstrip("&")
            body = body and {**body, "model": self.routed}
        started = False
        wait = self._settings.token_timeout_s
        try:
            async with self._open().request(
                # What the plant asks goes to the configured address and nowhere else.
                method,
                self._url + path,
                json=body,
                allow_redirects=False,
            ) as response:
                if response.status >= 300:
                    raise errors.refused(response.status, await response.content.read(_ERROR_BODY))
                started = True
                yield response
        except aiohttp.ConnectionTimeoutError as error:
            seconds = self._settings.connect_timeout_s
            raise errors.away(self._url, f"no connection within {seconds:g} s") from error
        except TimeoutError as error:
            raise errors.slow("the next token" if started else "a reply", wait) from error
        except aiohttp.ClientConnectorError as error:
            raise errors.away(self._url, str(error)) from error
        except aiohttp.ClientResponseError as error:
            raise errors.garbled("what came is not HTTP", error.message) from error
        except aiohttp.ClientError as error:
            raise errors.cut_off(str(error) or type(error).__name__) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            s = self._settings
            self._session = aiohttp.ClientSession(
                # A kept connection may just have been closed by the server; a new one over
                # loopback costs a fraction of a millisecond.
                connector=aiohttp.TCPConnector(ssl=self._ssl, force_close=True),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=s.connect_timeout_s, sock_read=s.token_timeout_s
                ),
                headers={"Authorization": f"Bearer {s.api_key}"} if s.api_key else None,
                trust_env=False,  # a proxy of the environment must not see the plant's questions
            )
        return self._session


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; one without end must not take the box's memory."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BODY:
            raise errors.garbled("an endless reply", bytes(body[:80]))
    return bytes(body)


def _address(url: str) -> str:
    """Return the base address without a slash at its end.

    Raises:
        Fatal: not an http or https address.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0:
            return url.rstrip("/")
    except ValueError:
        pass  # a port that is no number, or half an IPv6 address: said below
    raise Fatal("read llm_bridge.url", f"found {url!r}", "write it like http://127.0.0.1:8080")


def _tls(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise Fatal("read llm_bridge.ca", f"{ca}: {error}", "name a PEM file") from error


def _decode(data: bytes) -> Json:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.garbled("the server sent no JSON", data) from error
    if not isinstance(value, dict):
        raise errors.garbled("the server sent something else than an object", data)
    return value
