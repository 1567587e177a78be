"""`python -m services.broker_watch SOCKET PID_FILE`: does the broker hang? Exit code 3 if it does.

Mosquitto 2.0 knows no watchdog of systemd's. Its loop waits for work a tenth of a second at most:
the kernel counts that it turns, and nothing of that is logged. Where it does not turn, it is asked
to let somebody in who has no name: whatever it answers, it lives. One that is not there, or is
just starting, is no matter of ours.
"""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

HANGS = 3
"""Not 1: so Python ends where this itself fails, and then nobody is to be killed."""
_ANSWER_S = 15.0
_TURN_S = 1.0
_COUNTED = "voluntary_ctxt_switches:"
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
"""MQTT 3.1.1: a clean session, no client id, keep-alive 10 s."""
_DISCONNECT = b"\xe0\x00"


def hangs(path: str, within_s: float = _ANSWER_S) -> bool:
    """Return whether a broker takes connections on a Unix socket and answers none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(within_s)
        try:
            sock.connect(path)
            sock.sendall(_CONNECT)
            sock.recv(4)
            sock.sendall(_DISCONNECT)
        except TimeoutError:
            return True
        except OSError:
            return False  # it is not there, or has closed the connection: that is an answer
    return False


def turns(pid_file: Path, within_s: float = _TURN_S) -> bool:
    """Return whether the process of a file waited for work, and went on, in so many seconds."""
    try:
        status = Path("/proc", pid_file.read_text(encoding="ascii").strip(), "status")
        before = _waits(status)
        time.sleep(within_s)
        return _waits(status) > before
    except (OSError, ValueError):
        return False  # it is not there, or nobody sees it: then it is asked


def _waits(status: Path) -> int:
    """Return how often a process gave up the processor by itself."""
    lines = status.read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(_COUNTED))


if __name__ == "__main__":
    # During an upgrade the unit of the version before calls this, perhaps without the second.
    turning = any(turns(Path(name)) for name in sys.argv[2:3])
    sys.exit(HANGS if not turning and hangs(sys.argv[1]) else 0)
