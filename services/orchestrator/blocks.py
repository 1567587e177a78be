"""Running text taken apart: a heading, a parameter or a question, with what stands below it.

A manual's page of parameters is one passage of many matters. What answers is one of them as a
whole, its range and its unit included, and nothing of its neighbours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.orchestrator.items import is_wrapped, unwrapped
from services.orchestrator.language import is_ideograph
from services.orchestrator.sentences import sentences

# `PD142 Rated Motor Current`, `*P0-15 载波频率`: a name follows, not the rest of a sentence.
_PARAMETER = re.compile(
    r"\W{0,3}[A-Z]{1,4}[-. ]?\d{1,4}(?:[-.]\d{1,3})?"
    r"(?=[A-Z]|[ \t:：.-]+[A-Z\u3400-\u9fff]|[\u3400-\u9fff])"
)
_NUMBERED = re.compile(r"\W{0,3}(?:第?\d{1,2}(?:\.\d{1,2}){1,3}|§ ?\d+)[.、]?[ \t]*(?=[^\W\d])")
_LETTERED = re.compile(r"\W?[a-zA-Z][)）][ \t]*\S")
_BYTE = re.compile(r"\W?(?:byte|字节|word|字) ?\d{1,2}\W*", re.IGNORECASE)
_MARKDOWN = re.compile(r"#{1,6} ")
_QUESTION = re.compile(r"\W?(?:Q(?:uestion)?\s?\d*|问题?\s?\d*)\s*[:：]", re.IGNORECASE)
_MARK = re.compile(
    r"\s*(?:[(（]?\d{1,2}[)）、]|\d{1,2}[.．](?!\d)|[①-⑳]|[a-zA-Z][)）：]|[•●◆■▪►➢‣]|[-–—*][ \t]|注"
    r"|\||(?:bit|byte) ?\d{1,2}(?!\w))",
    re.IGNORECASE,
)
# What a page prints for itself.
_FURNITURE = re.compile(
    r"\s*(?:第\s*\d+\s*页(?:[\s,，/]*共\s*\d+\s*页)?|-?\s*\d{1,4}\s*-?|page\s+\d+(?:\s*(?:of|/)\s*\d+)?"
    r"|\d+\s*/\s*\d+|toc: (?:true|false)|(?:next|prev): /\S*"
    r"|图\s*\d+(?:[-.]\d+)?\s*(?!所示|[是为中和、])[^。，,:：]{0,30}"
    r"|fig(?:ure|\.)\s*\d+(?:[-.]\d+)?(?:\s+(?-i:[A-Z])[^.,:]{0,40})?)\s*",
    re.IGNORECASE,
)
# The footer of a page, wherever it fell.
_FOOTER = re.compile(
    r"\s*(?:第\s*\d+\s*页[\s,，/]*共\s*\d+\s*页|page\s+\d+\s*of\s*\d+)\s*", re.IGNORECASE
)
# What stands in one line: the bits of a word.
_CELLS = re.compile(
    r"(?<=[^\W\d_]) (?=(?:bit|byte) ?\d{1,2}(?:[~-](?:bit|byte)?\d{1,2})?[:：])"
    # Marks of Markdown, reStructuredText and of the programs that make pages of them.
    r"|(?:\||(?<!-))(?:\s*:?-{3,}:?\s*\|)+(?:\s*:?-{3,}:?)?|\{\{[<%].{0,80}?[%>]\}\}"
    r"|(?<!\w)\|(?:image|img|icon|logo)[\w-]{0,20}\||(?m:^\s*\.\. (?:[\w-]+::(?! \w+ \w)|\|).*$)",
    re.IGNORECASE,
)
# A table's row: it stands alone, and its bars are no words.
_ROW = re.compile(r"^[ \t]*\|.*$|^.*[ \t]\|[ \t].*$", re.MULTILINE)
_BAR = re.compile(r"(?<!\|)\|(?!\|)")
_IN_LINE = re.compile(r"---|\{\{|\||\.\. |(?:bit|byte) ?\d", re.IGNORECASE)
_SCRAP = re.compile(r"\s*(?:(?:Yes|No|The|And|Or|[A-Z])(?:\s+|$))+")
# A narrow column of Chinese: a clause that has begun and does not end.
_UNFINISHED = re.compile(r"[，、][^。；;：:！？!?]*[\u3400-\u9fff]$")
# `2. Reduce the noise`, with its steps a, b, c below.
_TITLED = re.compile(r"\W?\d{1,2}[.、)）]\s*[^\W\d][^.。:：]{3,50}")
_STEPS = re.compile(r"\W?a[)）.:：]\s*\S", re.IGNORECASE)
_ENDS = ".。!！?？;；"
_LONGEST_HEAD = 120
"""Characters."""


@dataclass(frozen=True, slots=True)
class Block:
    """One matter of a passage."""

    head: str
    """Its heading, or the line that names the parameter; empty at a passage's beginning."""
    sentences: list[str]
    """What stands below it, in order, in the passage's words."""


def blocks(text: str) -> list[Block]:
    """Return the matters of a text in order; nothing in them is cut or moved.

    Page numbers, and the single words that drawings leave behind, are in none of them.
    """
    if _IN_LINE.search(text):
        text = _CELLS.sub(lambda match: "\n\n" if match[0].strip() else "\n", text)
        text = _ROW.sub(lambda match: f"\n{_BAR.sub(' ', match[0])}\n", text)
    lines = text.splitlines()
    widest = max(map(len, lines), default=0)
    paragraphs: list[str] = []
    heads: list[bool] = []
    last = ""  # the line before, where a sentence may go on
    for place, line in enumerate(lines):
        if not any(map(str.isalnum, line)):
            last = ""
            continue
        around = lines[place - 1] if place else "", lines[place + 1] if lines[place + 1 :] else ""
        if _FOOTER.fullmatch(line):
            continue
        head = _is_head(line, *around)
        if last and not head and not _MARK.match(line) and _goes_on(paragraphs[-1], line, widest):
            paragraphs[-1] += f"\n{line}"
        elif _FURNITURE.fullmatch(line) or _SCRAP.fullmatch(line):
            last = ""
            continue
        else:
            paragraphs.append(line)
            heads.append(head)
        last = "" if head else line
    found: list[Block] = []
    for paragraph, head in zip(paragraphs, heads, strict=True):
        words = " ".join(unwrapped(paragraph).split())
        if head:
            found.append(Block(words, []))
        else:
            if not found:
                found.append(Block("", []))
            found[-1].sentences.extend(s for s in sentences(words) if not _SCRAP.fullmatch(s))
    return found


def is_name(head: str) -> bool:
    """Return whether a heading is part of what stands below: `PD142 Motor Current`, `Byte 2`."""
    return bool(_PARAMETER.match(head) or _BYTE.fullmatch(head))


def _goes_on(paragraph: str, line: str, widest: int) -> bool:
    """Return whether a line goes on with the paragraph before it."""
    above = [part.strip() for part in paragraph.split("\n")]
    if is_wrapped(above[-1], line, widest):
        return True
    full = len(above) > 1 and len(above[-1]) >= max(map(len, above)) - 1
    return full and is_ideograph(line.lstrip()[0]) and bool(_UNFINISHED.search(paragraph))


def _is_head(line: str, before: str, follows: str) -> bool:
    line = line.strip()
    if len(line) > _LONGEST_HEAD:
        return False
    if _PARAMETER.match(line) or _MARKDOWN.match(line) or _QUESTION.match(line):
        return line[-1] not in ";；"
    if _BYTE.fullmatch(line):
        return True
    if line[-1] in _ENDS:
        return False
    if _NUMBERED.match(line) or (_TITLED.fullmatch(line) and _STEPS.match(follows)):
        return True
    # One of several that follow each other is an item of a list.
    alone = bool(follows) and not _MARK.match(follows) and not _LETTERED.match(before)
    return alone and len(line) <= _LONGEST_HEAD // 2 and bool(_LETTERED.match(line))
