"""The main job with nothing but loopback: no download, no telemetry, no update check."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_the_demo_runs_with_only_loopback(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    assert strace, "strace is missing: apt-get install strace"
    log = tmp_path / "connects"
    traced = [strace, "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(log)]
    demo = [sys.executable, str(ROOT / "deploy" / "demo.py")]
    done = subprocess.run(
        [*alone(), sys.executable, "-c", LOOPBACK_UP, *traced, *demo],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "outside: Network is unreachable" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "E005 DC bus undervoltage" in done.stdout
    assert "直流母线欠压" in done.stdout
    said = log.read_text(errors="replace")
    asked = set(re.findall(r'inet_addr\("([\d.]+)"\)', said))
    asked |= set(re.findall(r'inet_pton\(AF_INET6, "([^"]+)"', said))
    assert "127.0.0.1" in asked  # the broker
    assert {address for address in asked if not address.startswith("127.")} <= {"::1"}
