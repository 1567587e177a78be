"""The part of config.yaml about the broker."""

from __future__ import annotations

from pathlib import Path

import msgspec

from services.runtime.config_values import Positive
from services.runtime.errors import Fatal


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Mosquitto."""

    url: str = "mqtt://127.0.0.1:1883"
    """`mqtt://host:port`, `mqtts://host:port` (TLS), or `unix:///path/to/socket`."""
    username: str = ""
    """User name, `{service}` for the process's own; empty for none."""
    password: str = ""
    """Password; better in `password_file`."""
    password_file: str = ""
    """File whose first line is the password; see `connect.as_service`."""
    ca: str = ""
    """PEM file of the authority that signed the broker's certificate."""
    cert: str = ""
    """PEM file of the client certificate."""
    key: str = ""
    """PEM file of its key."""
    keepalive_s: Positive = 30
    """Seconds between signs of life."""

    def secret(self) -> str:
        """Return the password, from the file where one is named.

        Raises:
            Fatal: the file cannot be read.
        """
        if not self.password_file:
            return self.password
        try:
            return Path(self.password_file).read_text(encoding="utf-8").split("\n", 1)[0].strip()
        except OSError as error:
            hint = "create it readable by this user, or remove the key"
            if isinstance(error, PermissionError):
                hint = "on a box passwords are root's: sudo andon …; elsewhere have it readable"
            reason = f"{self.password_file}: {error.strerror}"
            raise Fatal("read broker.password_file", reason, hint) from error
