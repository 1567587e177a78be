"""Where the broker is, and how to prove who we are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from services.runtime.errors import Fatal

Scheme = Literal["mqtt", "mqtts", "unix"]

_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_EXAMPLES = "use mqtt://host:1883, mqtts://host:8883 or unix:///run/mosquitto/mqtt.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """One way to one broker. Make it with `from_url`, which checks that the parts fit."""

    scheme: Scheme
    """Plain TCP, TLS over TCP, or a Unix socket."""
    host: str = ""
    """Host name or IP address; empty for a Unix socket."""
    port: int = 0
    """TCP port, 1 to 65535; 0 for a Unix socket."""
    path: str = ""
    """Absolute path of the Unix socket; empty for TCP."""
    username: str | None = None
    """User name for the broker's password file, or None."""
    password: str | None = field(default=None, repr=False)
    """Password to `username`; never shown in logs."""
    ca: str | None = None
    """PEM file of the authority that signed the broker's certificate; None: the system's."""
    cert: str | None = None
    """PEM file of our own certificate, for brokers that ask for one."""
    key: str | None = None
    """PEM file of the key to `cert`."""

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
    ) -> BrokerAddress:
        """Read a broker URL; an empty string counts as not given.

        Raises:
            Fatal: the URL is no broker's URL, or the other settings do not fit it.
        """
        operation = "broker address"
        scheme, host, port, path = _split(url, operation)
        if (ca or cert or key) and scheme != "mqtts":
            raise Fatal(
                operation,
                f"ca, cert and key are for TLS, but the url is {url!r}",
                "write mqtts:// in the url, or remove ca, cert and key",
            )
        if bool(cert) != bool(key):
            raise Fatal(operation, "cert and key belong together", "give both, or neither")
        if password and not username:
            raise Fatal(operation, "a password without a username", "give the username as well")
        return cls(
            scheme=scheme,
            host=host,
            port=port,
            path=path,
            username=username or None,
            password=password or None,
            ca=ca or None,
            cert=cert or None,
            key=key or None,
        )

    def tls_context(self) -> ssl.SSLContext | None:
        """Read the certificates; None without TLS.

        Raises:
            Fatal: a file is missing or is not what it should be.
        """
        if self.scheme != "mqtts":
            return None
        what = f"CA certificate {self.ca}"
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert and self.key:
                what = f"client certificate {self.cert} with key {self.key}"
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise Fatal(
                "broker address",
                f"cannot read {what}: {error}",
                "it must be a PEM file that the service may read",
            ) from error
        return context

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def _split(url: str, operation: str) -> tuple[Scheme, str, int, str]:
    """Scheme, host, port and path of a broker URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Fatal(operation, f"{url!r} is not a URL: {error}", _EXAMPLES) from error
    if parts.username is not None or parts.password is not None:
        # The URL itself is not repeated: it holds a password, and this text ends in a log.
        raise Fatal(
            operation,
            "the url holds a user name or password",
            "give them as username and password, so that no log shows them",
        )
    if parts.query or parts.fragment:
        raise Fatal(operation, f"{url!r} has parts that mean nothing here", _EXAMPLES)
    match parts.scheme:
        case "unix":
            return _unix(url, parts, operation)
        case "mqtt" | "mqtts" as scheme:
            if not parts.hostname or parts.path not in {"", "/"} or port == 0:
                raise Fatal(operation, f"{url!r} must be a host and a port only", _EXAMPLES)
            return scheme, parts.hostname, port or _DEFAULT_PORTS[scheme], ""
        case _:
            raise Fatal(operation, f"{url!r} is not a broker's url", _EXAMPLES)


def _unix(url: str, parts: SplitResult, operation: str) -> tuple[Scheme, str, int, str]:
    if parts.netloc or not parts.path.startswith("/") or parts.path.endswith("/"):
        raise Fatal(
            operation,
            f"{url!r} names no socket",
            "a Unix socket has an absolute path and three slashes: unix:///run/mosquitto/mqtt.sock",
        )
    return "unix", "", 0, parts.path
