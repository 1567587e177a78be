"""Logging: one line a record on stderr, with the trace id of the fault it belongs to."""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar
from typing import TextIO

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""W3C trace id of the message being worked on, 32 hexadecimal digits, or empty."""

_SYSLOG = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


class _Lines(logging.Formatter):
    def __init__(self, *, journal: bool, who: str) -> None:
        # journald stamps the time itself, names the unit, and takes the level from
        # sd-daemon(3)'s <n>.
        head = "" if journal else f"%(asctime)s %(levelname)-7s {f'{who} ' if who else ''}"
        super().__init__(f"{head}%(name)s: %(message)s")
        self._journal = journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """Return the line of a record; a traceback comes below it."""
        text = super().formatMessage(record)
        trace = trace_id.get()
        return f"{text} trace={trace}" if trace else text

    def format(self, record: logging.LogRecord) -> str:
        """Return a record; each line with its level where journald reads it."""
        text = super().format(record)
        if self._journal:
            level = _SYSLOG.get(record.levelname, 6)
            text = "\n".join(f"<{level}>{line}" for line in text.split("\n"))
        return text


def _journal_reads(stream: TextIO) -> bool:
    """Return whether a stream goes to journald, see systemd.exec(5).

    The variable alone says little: every terminal of a desktop session inherits it.
    """
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file behind it
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def setup(level: str, who: str = "") -> None:
    """Send everything of at least this level to stderr.

    Args:
        level: debug, info, warning or error.
        who: the service, for a terminal that several of them share.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(journal=_journal_reads(sys.stderr), who=who))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
