"""`python -m services.broker_watch SOCKET`: does the broker answer? Exit code 1 if it hangs.

Mosquitto 2.0 knows no watchdog of systemd's. It is asked to let somebody in who has no name:
whatever it answers, it turns. One that is not there, or is just starting, is no matter of ours.
"""

from __future__ import annotations

import socket
import sys

HANGS = 1
_ANSWER_S = 15.0
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


if __name__ == "__main__":
    sys.exit(HANGS if hangs(sys.argv[1]) else 0)
