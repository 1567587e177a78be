"""An answer on a handheld scanner: at most three lines of plain text.

Many scanners show 80 characters a line. Chinese characters are two columns wide there, so a
line has at most 80 characters and at most 80 columns, whichever is reached first: since every
character is counted as at least one column, counting columns keeps both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from schemas.answers import Answer, Language
from services.orchestrator.definition import canonical, printed_as, words_of
from services.orchestrator.language import has_ideographs
from services.orchestrator.notes import is_elsewhere

WIDEST = 80
"""Columns, and thereby characters, of one line."""

_ELSEWHERE: dict[Language, str] = {"en": "Not in this machine's manuals", "zh": "本机手册中没有"}
_CUT = "…"
_MARK = re.compile(r"^(?:[(（]?\d{1,2}[)）、]|\d{1,2}[.．](?!\d)|[a-zA-Z][)）]|[•●◆■-])\s*")
_ALIKE = 32
"""Characters by which two sentences are taken for one: a summary may be cut."""


def display(answer: Answer) -> str:
    """Return what to do in three lines: fault, first actions, source; no line that is empty."""
    summary = clean(answer.summary)
    code = clean(answer.code).lstrip("#")
    if not _has(summary, code):
        summary = f"{code} {summary}"
    first = fit(summary, WIDEST)
    more = _steps(answer.actions, summary) or _steps(answer.causes, summary)
    if not more and first.endswith(_CUT):
        kept = len(first) - len(_CUT)
        first, more = summary[:kept].rstrip(), fit(summary[kept:].lstrip(" ,;:，；：、"), WIDEST)
    return "\n".join(line for line in (first, more, _source(answer)) if line)


def clean(text: str) -> str:
    """Return text as one line: no control, formatting or private characters, single spaces."""
    kept = "".join(" " if _breaks(c) else "" if _invisible(c) else c for c in text)
    return " ".join(kept.split())


def columns(text: str) -> int:
    """Return how many columns a text takes: wide characters two, all others one."""
    return sum(_width(character) for character in text)


def fit(text: str, limit: int) -> str:
    """Return the text, cut with `…` at a word's end where it is wider than `limit` columns."""
    if columns(text) <= limit:
        return text
    room = limit - 1
    end = 0
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        end += 1
    # A letter must not lose its accent.
    while end and unicodedata.combining(text[end]):
        end -= 1
    head = text[:end]
    if not text[end].isspace():
        head = head[: _word_end(head, text[end])]
    return head.rstrip(" ,;:，；：、-–") + _CUT


def _word_end(head: str, after: str) -> int:
    """Return where the last whole word ends; a single word longer than half a line is cut."""
    if _width(after) == 2 or (head and _width(head[-1]) == 2):
        return len(head)
    end = len(head)
    while end and not head[end - 1].isspace() and _width(head[end - 1]) == 1:
        end -= 1
    return end if end >= len(head) // 2 else len(head)


def _has(summary: str, code: str) -> bool:
    """Return whether a summary has a code, spelt as it was asked for or as the manual does."""
    spelt = rf"(?<![A-Za-z0-9]){re.escape(code)}(?![A-Za-z0-9])"
    if re.search(spelt, summary, re.IGNORECASE):
        return True
    words = words_of(summary)
    if canonical(code) in map(canonical, words):
        return True
    # It may stand at the beginning as the manual prints it: `F30021` for 30021.
    return bool(words) and printed_as(code, words[0]) != code


def _steps(entries: Sequence[str], said: str) -> str:
    """Return what to do, or why it is, in one line; nothing that is said already."""
    steps = [_MARK.sub("", clean(entry), count=1).rstrip(" .。;；!！") for entry in entries]
    steps = [step for step in dict.fromkeys(steps) if step and step[:_ALIKE] not in said]
    return fit(("；" if has_ideographs("".join(steps)) else "; ").join(steps), WIDEST)


def _source(answer: Answer) -> str:
    if not answer.citations:
        return ""
    first = answer.citations[0]
    page = "" if first.page is None else f" p.{first.page}"
    title = clean(first.document) or clean(first.file)
    said = f"{_ELSEWHERE[answer.lang]} → " if is_elsewhere(answer) else "→ "
    return f"{said}{fit(title, WIDEST - columns(page) - columns(said))}{page}"


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _breaks(character: str) -> bool:
    return unicodedata.category(character) in ("Zl", "Zp", "Zs") or character in "\t\n\r\v\f\x85"


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")
