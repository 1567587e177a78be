"""A model's HTTP server, asked with JSON: for vectors, or for an order."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from urllib.parse import urlsplit

import msgspec

from services.runtime import tls
from services.runtime.errors import Fatal, Rejected, Retryable

REPLY_BYTES = 64 * 1024 * 1024
"""A longer reply is none of a model's, bytes."""


class Call:
    """One request under way, which another thread may end."""

    def __init__(self) -> None:
        """Begin nothing yet."""
        self._connection: http.client.HTTPConnection | None = None
        self._ended = False

    def begin(self, connection: http.client.HTTPConnection) -> None:
        """Connect.

        Raises:
            OSError: the server is not there, or the call was ended.
        """
        self._connection = connection
        if not self._ended:
            connection.connect()
        if self._ended:  # meanwhile: there was no socket to close
            raise ConnectionAbortedError("ended before it was sent")

    def end(self) -> None:
        """End it, wherever it is; the thread it keeps is free at once."""
        self._ended = True
        if self._connection is not None and self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)


class ModelServer:
    """One connection a request: several threads may ask at the same time."""

    def __init__(self, url: str, key: str, *, api_key: str = "", ca: str = "") -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: base address.
            key: the configuration's name for it, for messages.
            api_key: sent as bearer token; empty for none.
            ca: PEM file of the authority that signed its certificate; empty: the system's.

        Raises:
            Fatal: the address or the authority's file is wrong.
        """
        self._key, self._ca = key, ca
        self._keyed = bool(api_key)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Fatal(f"read {key}", f"not an address: {url!r}", "write it http://host:port")
        self.path = parts.path.rstrip("/")
        self.name = parts.netloc.rpartition("@")[2]
        self._host, self._port = parts.hostname, parts.port
        self._tls = _tls(ca) if parts.scheme == "https" else None
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._open: set[Call] = set()

    def post(
        self,
        operation: str,
        path: str,
        body: object,
        *,
        patience_s: float,
        hint: str,
        call: Call | None = None,
    ) -> bytes:
        """Return what answers a request; blocks, call it in a thread.

        Args:
            operation: what is done, for messages.
            path: after the address.
            body: sent as JSON.
            patience_s: longest wait for each piece of the reply, seconds.
            hint: what to look at where the server refuses.
            call: by which another thread may end this request, and no other.

        Raises:
            Retryable: the server is not there or not ready, or the call was ended.
            Rejected: it refuses.
        """
        connection = self._connection(patience_s)
        call = call or Call()
        self._open.add(call)
        try:
            call.begin(connection)
            connection.request("POST", path, msgspec.json.encode(body), self._headers)
            response = connection.getresponse()
            payload = response.read(REPLY_BYTES)
        except ssl.SSLError as error:
            reason, hint = tls.told(
                error, url_key=self._key, ca=self._ca, ca_key=self._beside("ca")
            )
            raise Retryable(operation, reason, hint) from error
        except TimeoutError as error:
            reason = f"no reply within {patience_s:g} s"
            raise Retryable(operation, reason, "is the server running?") from error
        except (OSError, http.client.HTTPException) as error:
            raise Retryable(operation, f"{error}", "is the server running?") from error
        finally:
            self._open.discard(call)
            connection.close()
        if response.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise Rejected(operation, *self._no_entry(response.status))
        if response.status != http.HTTPStatus.OK:
            reason = f"status {response.status}: {payload[:200].decode(errors='replace')}"
            raise (Retryable if response.status >= 500 else Rejected)(operation, reason, hint)
        return payload

    def close(self) -> None:
        """End all requests that still wait for the server."""
        for call in list(self._open):
            call.end()

    def _beside(self, name: str) -> str:
        """Return the configuration's name of what goes with the address; empty where nothing does.

        An embedding server has its address alone.
        """
        return self._key.replace("_url", f"_{name}") if self._key.endswith("_url") else ""

    def _no_entry(self, status: int) -> tuple[str, str]:
        what = "does not accept the API key" if self._keyed else "wants an API key, none is sent"
        hint = f"set {name}" if (name := self._beside("api_key")) else "start it without one"
        return f"status {status}: it {what}", hint

    def _connection(self, patience_s: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=patience_s)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=patience_s, context=self._tls
        )


def _tls(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        raise Fatal(
            "read the authority of a server", f"{ca}: {error}", "name a PEM file"
        ) from error
