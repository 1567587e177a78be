"""Running text taken apart: a heading, a parameter or a question, with what stands below it.

A manual's page of parameters is one passage of many matters. What answers is one of them as a
whole, its range and its unit included, and nothing of its neighbours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.orchestrator.items import is_wrapped, unwrapped
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
    r"\s*(?:[(（]?\d{1,2}[)）、]|\d{1,2}[.．](?!\d)|[①-⑳]|[a-zA-Z][)）]|[•●◆■▪►➢‣]|[-–—*][ \t]|注"
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
# What stands in one line: the bits of a word.
_CELLS = re.compile(
    r"(?<=[^\W\d_]) (?=(?:bit|byte) ?\d{1,2}(?:[~-](?:bit|byte)?\d{1,2})?[:：])"
    # Marks of Markdown and of the programs that make pages of it.
    r"|\|?(?:\s*:?-{3,}:?\s*\|)+(?:\s*:?-{3,}:?)?|\{\{[<%].{0,80}?[%>]\}\}",
    re.IGNORECASE,
)
_IN_LINE = re.compile(r"---|\{\{|(?:bit|byte) ?\d", re.IGNORECASE)
_SCRAP = re.compile(r"\s*(?:(?:Yes|No|The|And|Or|[A-Z])(?:\s+|$))+")
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
        head = _is_head(line, *around)
        if last and not head and not _MARK.match(line) and is_wrapped(last, line, widest):
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
    if _NUMBERED.match(line):
        return True
    # One of several that follow each other is an item of a list.
    alone = bool(follows) and not _MARK.match(follows) and not _LETTERED.match(before)
    return alone and len(line) <= _LONGEST_HEAD // 2 and bool(_LETTERED.match(line))
