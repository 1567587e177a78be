"""The processes that `andon up` runs now, found without asking any of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

SOON_S = 60.0


def children(parent: int) -> dict[str, int]:
    """Process ids of broker and services by name, of those that have become what they are."""
    found = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue  # it ended meanwhile
        if words[0].endswith("/mosquitto"):
            found["mosquitto"] = int(pid)
        elif "-m" in words and (module := words[words.index("-m") + 1]).startswith("services."):
            found[module.removeprefix("services.")] = int(pid)
    found.pop("cli", None)  # forked, and not yet what it will be
    return found


def wait_for(parent: int, *names: str, but: int = 0) -> int:
    """Process id of the first of these that runs, and is not `but`."""
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        running = children(parent)
        for name in names:
            if running.get(name, but) != but:
                return running[name]
        time.sleep(0.02)
    raise TimeoutError(f"{names} do not run")


def send(pid: int, sent: signal.Signals) -> None:
    """Send a signal; a process that is gone needs none."""
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return


def gone(pid: int) -> bool:
    """Whether a process has ended, waited for by its parent or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_gone(pid: int) -> None:
    """Return when a process has ended."""
    deadline = time.monotonic() + SOON_S
    while not gone(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not end")
        time.sleep(0.005)
