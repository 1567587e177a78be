"""Telling systemd how it goes: sd_notify(3) in a few lines, nothing where nobody listens."""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> bool:
    """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=…`; return whether somebody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto("\n".join(lines).encode(), address)
        except (FileNotFoundError, ConnectionRefusedError):
            return False  # inherited from a parent whose socket is gone
    return True


def watchdog_s() -> float | None:
    """Return how often systemd wants a sign of life, seconds; None where it does not watch us."""
    microseconds = os.environ.get("WATCHDOG_USEC")
    watched = os.environ.get("WATCHDOG_PID")
    if not microseconds or (watched and int(watched) != os.getpid()):
        return None
    return int(microseconds) / 1e6 or None
