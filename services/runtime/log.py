"""Logging: one line a record on stderr, with the trace id of the fault it belongs to."""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""W3C trace id of the message being worked on, 32 hexadecimal digits, or empty."""

_SYSLOG = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


class _Lines(logging.Formatter):
    def __init__(self, *, journal: bool) -> None:
        # journald stamps the time itself and takes the level from sd-daemon(3)'s <n>.
        super().__init__(
            "%(name)s: %(message)s"
            if journal
            else "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
        )
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if trace := trace_id.get():
            text += f" trace={trace}"
        if self._journal:
            level = _SYSLOG.get(record.levelname, 6)
            text = "\n".join(f"<{level}>{line}" for line in text.split("\n"))
        return text


def setup(level: str) -> None:
    """Send everything of at least this level to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(journal="JOURNAL_STREAM" in os.environ))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
