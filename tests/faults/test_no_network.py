"""With nothing but loopback: no download, no telemetry, no update check, whatever is read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shared_data import needed_data

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
# A namespace of its own has a loopback interface that is down; SIOCSIFFLAGS (0x8914) with
# IFF_UP|IFF_RUNNING (0x41) brings it up without iproute2.
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", 0x41))
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except OSError as error:
    print("outside:", error.strerror, flush=True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def alone() -> list[str]:
    """The command that gives another one a network of its own, root or not."""
    unshare = shutil.which("unshare")
    for options in (["--net"], ["--net", "--map-root-user"]):
        if (
            unshare
            and subprocess.run(
                [unshare, *options, "true"], check=False, capture_output=True
            ).returncode
            == 0
        ):
            return [unshare, *options]
    pytest.skip("this kernel lets us have no network namespace (unshare --net is refused)")


def traced(log: Path, *command: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a command that has only loopback, every step towards a network in the log."""
    strace = shutil.which("strace")
    assert strace, "strace is missing: apt-get install strace"
    calls = "trace=connect,bind,sendto,sendmsg,sendmmsg"
    tracing = [strace, "-f", "-qq", "--seccomp-bpf", "-e", calls, "-o", str(log)]
    done = subprocess.run(
        [*alone(), sys.executable, "-c", LOOPBACK_UP, *tracing, sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert "outside: Network is unreachable" in done.stdout
    return done


def addresses(log: Path) -> set[tuple[str, int]]:
    """Address and port of every socket that was bound, connected or sent from."""
    said = log.read_text(errors="replace")
    four = re.findall(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([\d.]+)"\)', said)
    six = re.findall(r'sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, "([^"]+)"', said)
    return {(address, int(port)) for port, address in four + six}


def outside(found: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those that are not of this machine."""
    return {one for one in found if not one[0].startswith("127.") and one[0] != "::1"}


def test_the_demo_runs_with_only_loopback(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    done = traced(log, str(ROOT / "deploy" / "demo.py"), timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "E005 DC bus undervoltage" in done.stdout
    assert "直流母线欠压" in done.stdout
    found = addresses(log)
    assert any(address == "127.0.0.1" for address, _ in found)  # the broker
    assert outside(found) == set()


@pytest.mark.timeout(300)
def test_every_format_is_taken_in_with_only_the_broker(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    done = traced(log, "-m", "tests.faults.alone", "andon", str(tmp_path), timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["missing"] == []
    assert {name: state for name, state in told["states"].items() if state != "ready"} == {}
    assert len(told["states"]) > 25
    assert told["found"]
    found = addresses(log)
    assert ("127.0.0.1", told["port"]) in found
    assert {one for one in found if one[1] not in {told["port"], 0}} == set()
    assert outside(found) == set()


@pytest.mark.timeout(300)
def test_with_a_model_only_its_server_is_spoken_to_as_well(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    done = traced(log, "-m", "tests.faults.alone", "model", str(tmp_path), timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["answered_by"] == "model", told["said"]
    assert "No problem was found." in told["said"]
    found = addresses(log)
    assert {("127.0.0.1", port) for port in told["ports"]} <= found
    assert {port for _, port in found} <= {0, *told["ports"]}
    assert outside(found) == set()


@pytest.mark.timeout(300)
def test_no_reader_asks_for_the_network_whatever_it_reads(tmp_path: Path) -> None:
    needed_data()
    log = tmp_path / "calls"
    done = traced(log, "-m", "tests.faults.alone", "readers", str(tmp_path), timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["files"] > 150
    assert told["read"] > 75
    assert told["not well"] == []
    assert told["asked"] == []
    # A library finds out whether there is IPv6, by a port of its own of ::1 at its import.
    assert addresses(log) <= {("::1", 0)}


def test_a_reader_that_goes_outside_is_found(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    command = ("-m", "tests.faults.alone", "readers", str(tmp_path), "--deliberate")
    done = traced(log, *command, timeout_s=200)
    assert json.loads(done.stdout.splitlines()[-1])["asked"] == ["socket.getaddrinfo"]
    assert outside(addresses(log)) == {("192.0.2.2", 80)}


def test_whoever_goes_outside_is_in_the_trace(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    child = (
        "import socket, subprocess, sys; udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "six = socket.socket(socket.AF_INET6)\n"
        "for send in (lambda: udp.sendto(b'?', ('192.0.2.53', 53)),"
        " lambda: six.connect(('2001:db8::1', 443)),"
        " lambda: socket.create_connection(('192.0.2.2', 80), 1)):\n"
        "    try: send()\n"
        "    except OSError: pass\n"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    traced(log, "-c", parent, timeout_s=200)
    assert outside(addresses(log)) == {("192.0.2.53", 53), ("2001:db8::1", 443), ("192.0.2.2", 80)}
