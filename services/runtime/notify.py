"""Telling systemd how it goes: sd_notify(3) in a few lines, nothing where nobody listens."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

log = logging.getLogger(__name__)


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


def tell_connected(connected: bool) -> None:
    """Leave the file `connected` in the folder systemd made for us, while we reach the broker.

    It is written anew at each connect. Without a RuntimeDirectory= nothing is left. On a box the
    orchestrator's has the broker at ease: see andon-broker-care.service.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not folder:
        return
    path = Path(folder) / "connected"
    try:
        if connected:
            path.write_text(f"{os.getpid()}\n", encoding="ascii")
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot tell that the broker is reached: %s: %s", path, error.strerror)
