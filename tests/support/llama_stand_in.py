"""llama-server's HTTP API in front of no model: writes one answer, slowly, and counts.

Its answer repeats the beginning of the prompt's first passage, so that it stands on it.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOTS = 1
_MOST = 80
"""Characters of a sentence of its answer."""


class StandIn:
    """What was asked, and whether it may be answered."""

    def __init__(self, url: str, *, takes_s: float) -> None:
        self.url = url
        self.takes_s = takes_s
        """How long an answer takes, seconds."""
        self.says: dict[str, Any] | None = None
        """What it answers; None: the beginning of the first passage."""
        self.prompts: list[str] = []
        """The last message of each request for an answer, in order."""
        self.began = threading.Event()
        """Whether it began to write."""
        self.left = threading.Event()
        """Whether a client left before its answer was written."""
        self.may = threading.Event()
        """Whether it writes; begins and hangs where not."""
        self.may.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        props = {
            "model_alias": "stand-in",
            "default_generation_settings": {"n_ctx": 8192},
            "total_slots": SLOTS,
        }
        self._json(props if self.path == "/props" else {"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            self._json({"tokens": [0] * (len(body["content"]) // 4)})
        elif self.path == "/apply-template":
            self._json({"prompt": "\n".join(m["content"] for m in body["messages"])})
        else:
            self._write(body["messages"][-1]["content"])

    def _write(self, prompt: str) -> None:
        made, over = self.server.made, self.server.over
        made.prompts.append(prompt)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        point = {"text": _words(prompt), "passages": [1]}
        answer = made.says or {"summary": point["text"], "causes": [point], "actions": [point]}
        try:
            self._event("{")
            made.began.set()
            while not made.may.wait(0.05) and not over.is_set():
                self.wfile.write(b": still there\n\n")
            over.wait(made.takes_s)
            self._event(json.dumps(answer)[1:], finish="stop")
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            made.left.set()
        self.close_connection = True

    def _event(self, text: str, finish: str | None = None) -> None:
        choice = {"delta": {"content": text}, "finish_reason": finish}
        self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())

    def _json(self, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody wants it any more
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *, takes_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.made = StandIn(f"http://127.0.0.1:{self.server_address[1]}", takes_s=takes_s)
        self.over = threading.Event()


@contextmanager
def stand_in(*, takes_s: float = 0.0) -> Iterator[StandIn]:
    """Serve for as long as the block lasts, on a free port."""
    server = _Server(takes_s=takes_s)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.made
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _words(prompt: str) -> str:
    """Return the first words of the first passage of a prompt.

    Whole ones: a word cut short is in no manual, and the statement it ends would not stand.
    """
    found = re.search(r"<passage[^>]*>\s*([^\n<]+)", prompt)
    line = found[1].strip() if found else "nothing"
    return line if len(line) <= _MOST else line[:_MOST].rpartition(" ")[0] or line[:_MOST]
