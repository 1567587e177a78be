"""Makers and products that no manual speaks of, beside a code: `Zentrix F33` (pure)."""

from __future__ import annotations

import re

from services.retriever.readings import FAULT_WORD

_NAME = r"(?P<name>[A-Z][A-Za-z]{2,}(?:[ -]?\d{2,5}[A-Za-z]?)?)"
_BEFORE = re.compile(
    rf"(?:^|[^A-Za-z0-9\-])(?-i:{_NAME})"
    rf"(?:(?:\s+|(?<=[\u4e00-\u9fff]))(?:drive|inverter|robot|servo|controller|machine|vfd|plc|{FAULT_WORD}|codes?|"
    r"变频器|机器人|伺服|控制器|报|显示)){0,4}\s*$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"\s*(?:(?:{FAULT_WORD}|codes?)\s*)?(?:on|of|at|for|from)\s+(?:(?:an?|the|my|our)\s+)?(?-i:{_NAME})",
    re.IGNORECASE,
)
_DOER = re.compile(r"(?:er|or|ers|ors|ing|ion|ment|line)$")
"""Ends what a plant calls its machines: `Palletizer`, `Compressor`, `Mixing`."""


def beside(question: str, start: int, end: int) -> str:
    """Return the name that stands beside a code; empty for none.

    Args:
        question: as asked.
        start: where the code begins, characters.
        end: where it ends.
    """
    found = _BEFORE.search(question[:start]) or _AFTER.match(question[end:])
    return found["name"] if found and not _DOER.search(found["name"]) else ""
