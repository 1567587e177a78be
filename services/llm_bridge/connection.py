"""The HTTP connection to the model's server: requests, streams, and troubles as clear errors."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import msgspec

from services.llm_bridge import errors, probing
from services.llm_bridge.fields import Json
from services.llm_bridge.sse import Events
from services.runtime.config import Bridge
from services.runtime.errors import AndonError, Fatal

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
        parts = urlsplit(self._url)
        self._tls = parts.scheme == "https"
        self._address = parts.hostname or "", parts.port or (443 if self._tls else 80)
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
        try:
            async with self._open().request(
                # What the plant asks goes to the configured address and nowhere else.
                method,
                self._url + path,
                json=body,
                allow_redirects=False,
            ) as response:
                if response.status >= 300:
                    said = await response.content.read(_ERROR_BODY)
                    if errors.asks_for_tls(response.status, said):
                        raise errors.encrypted(self._url)
                    key = bool(self._settings.api_key)
                    raise errors.refused(response.status, said, key=key)
                started = True
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            if not started and _unclear(error, tls=self._tls) and await self._speaks_other():
                other = errors.plain if self._tls else errors.encrypted
                raise other(self._url) from error
            raise self._meant(error, started=started) from error

    async def _speaks_other(self) -> bool:
        """Return whether it is TLS and HTTP that are mistaken for each other."""
        other = probing.speaks_http if self._tls else probing.speaks_tls
        return await other(*self._address)

    def _meant(self, error: aiohttp.ClientError | TimeoutError, *, started: bool) -> AndonError:
        """Return what a trouble of the connection means."""
        match error:
            case aiohttp.ConnectionTimeoutError():
                seconds = self._settings.connect_timeout_s
                return errors.away(self._url, f"no connection within {seconds:g} s")
            case TimeoutError():
                what = "the next token" if started else "a reply"
                return errors.slow(what, self._settings.token_timeout_s)
            case aiohttp.ClientConnectorError(__cause__=ssl.SSLError() as cause):
                return errors.untrusted(self._url, cause, self._settings.ca)
            case aiohttp.ClientConnectorError():
                return errors.away(self._url, str(error))
            case aiohttp.ClientResponseError():
                return errors.garbled("what came is not HTTP", error.message)
        return errors.cut_off(str(error) or type(error).__name__)

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


def _unclear(error: aiohttp.ClientError | TimeoutError, *, tls: bool) -> bool:
    """Return whether a server may have been greeted in the wrong way: it does not say so itself."""
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.__cause__
        return isinstance(cause, ssl.SSLError) and not isinstance(
            cause, ssl.SSLCertVerificationError
        )
    if isinstance(error, TimeoutError):  # without TLS there is no greeting that it could wait for
        return tls and isinstance(error, aiohttp.ConnectionTimeoutError)
    return True


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
