"""Lines of the log, as a terminal and as journald get them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

import pytest

pytestmark = pytest.mark.unit

PROGRAM = """
import logging, sys, warnings
from services.runtime import log
log.setup(sys.argv[1])
logger = logging.getLogger("andon.test")
logger.info("first")
log.trace_id.set("ab" * 16)
logger.warning("second\\n<0>forged")
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("third")
log.trace_id.set("")
warnings.warn("fourth", stacklevel=1)
"""


def lines(level: str, *, journal: bool = False) -> list[str]:
    """Return what a process logs to a file, which journald reads or not."""
    with tempfile.TemporaryFile() as file:
        status = os.fstat(file.fileno())
        inode = status.st_ino if journal else status.st_ino + 1
        subprocess.run(
            [sys.executable, "-c", PROGRAM, level],
            env=os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{inode}"},
            stderr=file,
            check=True,
        )
        file.seek(0)
        return file.read().decode().splitlines()


def test_terminal_gets_time_and_level() -> None:
    found = lines("info")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
    assert re.fullmatch(rf"{stamp} INFO    andon\.test: first", found[0])
    assert re.fullmatch(rf"{stamp} WARNING andon\.test: second", found[1])
    assert any("UserWarning: fourth" in line for line in found)


def test_trace_stands_on_the_records_line() -> None:
    found = lines("info")
    assert found[3].endswith(f"andon.test: third trace={'ab' * 16}")
    assert found[4] == "Traceback (most recent call last):"
    assert "ZeroDivisionError: division by zero" in found
    assert "trace=" not in found[0] + found[-1]


def test_level_leaves_out_what_is_below() -> None:
    found = lines("error")
    assert found[0].endswith(f"ERROR   andon.test: third trace={'ab' * 16}")


def test_journal_gets_a_level_on_every_line() -> None:
    found = lines("info", journal=True)
    assert found[:3] == [
        "<6>andon.test: first",
        "<4>andon.test: second",
        f"<4><0>forged trace={'ab' * 16}",
    ]
    assert found[3] == f"<3>andon.test: third trace={'ab' * 16}"
    assert all(re.match("<[3-6]>", line) for line in found)
