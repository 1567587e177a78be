"""What systemd is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.notify import notify, watchdog_s

pytestmark = pytest.mark.unit


@pytest.fixture(params=["file", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    name = str(tmp_path / "s") if request.param == "file" else f"@andon-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(name.replace("@", "\0"))
        found.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield found


def test_lines_arrive_as_one_message(listener: socket.socket) -> None:
    assert notify("READY=1", "STATUS=läuft")
    assert listener.recv(1024) == "READY=1\nSTATUS=läuft".encode()


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as closed:
        closed.bind(str(tmp_path / "closed"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "closed"))
    assert not notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "expected"),
    [
        ("30000000", None, 30.0),
        ("500000", "own", 0.5),
        ("500000", "1", None),  # meant for our parent
        ("0", None, None),
        (None, "own", None),
    ],
)
def test_watchdog(
    monkeypatch: pytest.MonkeyPatch,
    microseconds: str | None,
    pid: str | None,
    expected: float | None,
) -> None:
    for name, value in {"WATCHDOG_USEC": microseconds, "WATCHDOG_PID": pid}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    assert watchdog_s() == expected
