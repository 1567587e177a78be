"""Whether a broker hangs: a real one that works, one that is stopped, none at all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services import broker_watch
from services.broker import program
from services.broker_watch import HANGS, hangs, turns

pytestmark = pytest.mark.integration

_LONG_S = 60.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A Mosquitto that lets nobody in without a name: its socket and its process."""
    path, conf = tmp_path / "b.sock", tmp_path / "mosquitto.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    conf.write_text(f"listener 0 {path}\nallow_anonymous false\nlog_dest stderr\n{user}")
    with subprocess.Popen(
        [program("mosquitto"), "-c", str(conf)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if line.rstrip().endswith("running"):
                break
        yield str(path), process.pid
        process.kill()


def test_one_that_works_does_not_hang(broker: tuple[str, int]) -> None:
    assert not hangs(broker[0], _LONG_S)


def test_one_that_is_stopped_hangs(broker: tuple[str, int]) -> None:
    path, pid = broker
    os.kill(pid, signal.SIGSTOP)
    assert hangs(path, 0.3)
    os.kill(pid, signal.SIGCONT)
    assert not hangs(path, _LONG_S)


def test_what_turns_need_not_be_asked_and_logs_nothing(
    broker: tuple[str, int], tmp_path: Path
) -> None:
    _, pid = broker
    file = tmp_path / "broker.pid"
    assert not turns(file, 0)
    file.write_text(f"{pid}\n")
    assert turns(file)
    os.kill(pid, signal.SIGSTOP)
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    assert not turns(file)
    os.kill(pid, signal.SIGCONT)
    file.write_text("no number\n")
    assert not turns(file, 0)


def test_one_that_is_not_there_does_not_hang(tmp_path: Path) -> None:
    path = str(tmp_path / "none.sock")
    assert not hangs(path, _LONG_S)
    with socket.socket(socket.AF_UNIX) as left:  # as a broker that was killed leaves it
        left.bind(path)
    assert not hangs(path, _LONG_S)


def called(*arguments: str) -> int:
    command = [sys.executable, "-m", broker_watch.__name__, *arguments]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_unit_of_the_version_before_calls_it_without_a_process(tmp_path: Path) -> None:
    assert called(str(tmp_path / "none.sock")) == 0


def test_what_fails_itself_says_nothing_of_the_broker() -> None:
    assert called() not in (0, HANGS)
