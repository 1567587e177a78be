"""Fault entries: a heading with a code, then cause and remedy in paragraphs (pure).

Manuals that give each fault half a page print its code as a heading and its parts behind
labels. Such an entry becomes one passage, whatever pages it runs over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_KIND = (
    r"(?:(?:fault|alarm|error|warning|err|trip)(?=[\s:：\#])"
    r"|故障代码|故障码|故障|报警代码|报警|告警|错误代码|错误|警告|代码)"
)
_NUMBER = r"(?:\s*(?:code|no\.?|number|号))?\s*[:：\#]?\s*"
_CODE = r"""(?!(?:PAGE|NO|REV|VER|TAB|TABLE|FIG|STEP|DIN|ISO|IEC|EN|UL|CE|STO)[._\- ]?\d)(?:
    [A-Z]{1,4}[._\- ]?\d{1,6}(?:[.\-]\d{1,4})?[A-Z]?
    | [A-Z]{1,2}[._\-][A-Z]{1,3}\d{0,3}
    | E[A-Z]{1,3}\d{1,3}
    | Err?[._\- ]?\d{1,4}
    | 0[xX][0-9A-Fa-f]{1,8}
)"""
_VARIANTS = r"(?:\s*\([A-Z](?:\s*,\s*[A-Z])*\))?"
HEADING = re.compile(
    rf"""^(?:
        (?:(?i:{_KIND}{_NUMBER}))?(?P<code>{_CODE}){_VARIANTS}
        | (?i:{_KIND}{_NUMBER})(?P<bare>\d{{1,6}})
    )(?:\s*[:：\-–—,，、|/]+\s*|\s+|(?=[\u4e00-\u9fff（(])|$)(?P<title>.{{0,160}})$""",
    re.VERBOSE,
)
_LABELS = {
    "cause": (
        r"(?:possible |probable |likely )?(?:causes?|reasons?)"
        r"|(?:可能|故障|报警)?(?:的)?原因|原因分析"
    ),
    "remedy": (
        r"remed(?:y|ies)|(?:corrective |recommended )?(?:actions?|measures?)|solutions?"
        r"|counter-?measures?|troubleshooting|what to do|rectification|elimination"
        r"|(?:故障)?(?:对策|处理|措施|排除)(?:方法|措施|对策|办法)?|解决(?:方法|办法|方案|措施)|纠正措施"
    ),
    "other": (
        r"reactions?|responses?|acknowledge(?:ment)?|reset|description|meaning|explanation"
        r"|symptoms?|message class|message value|component|severity|drive object|propagation|effect"
        r"|反应|动作|保护动作|确认|复位|说明|描述|含义|现象|故障现象|故障名称|级别|影响"
    ),
}
LABEL = re.compile(
    r"^[【\[]?(?:"
    + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _LABELS.items())
    + r")[】\]]?\s*(?:[:：]\s*|$)",
    re.IGNORECASE,
)
_SYMPTOM = re.compile(
    r"^(?:\d{1,2}[.、)）]\s*)?[【\[]?(?P<name>故障现象|故障表现|现象|症状|symptoms?|problem)[】\]]?"
    r"\s*[:：]\s*(?P<words>\S.{0,160})$",
    re.IGNORECASE,
)
"""What an entry without a code begins with."""
_ITEM = re.compile(r"\s*(?:[-–—•·*▪●○◦‣]|[①-⑳]|[(（]?(?:\d{1,3}|[A-Za-z])[.)、）:：](?!\d))")
"""What an item of a list begins with."""
_UNFINISHED = (",", ":", ";", "-", "，", "：", "；", "、")
"""What a paragraph ends with that goes on in the next."""
LOOK_AHEAD = 14
"""Blocks after a heading within which a cause or a remedy must come."""
MAX_BLOCKS = 400
"""Blocks of an entry: more are no entry but a chapter."""


@dataclass(slots=True)
class Block:
    """A piece of a document as this module sees it."""

    text: str
    title: bool
    """Whether it is a heading."""
    depth: int = 0
    """Depth of a heading."""
    table: bool = False
    """Whether it is a table: its rows are passages of their own as well."""


@dataclass(slots=True)
class Entry:
    """One fault with its parts."""

    start: int
    """Index of the block that is its heading."""
    end: int
    """Index after its last block."""
    fields: list[tuple[str, str]] = field(default_factory=list)
    """Code and Title, or the symptom; then the parts under the names they are printed with."""
    tables: list[int] = field(default_factory=list)
    """Indexes of tables that stand within it."""

    @property
    def text(self) -> str:
        """Return the entry as a person reads it."""
        head = " ".join(value for name, value in self.fields if name in ("Code", "Title"))
        rest = [f"{name}: {text}" for name, text in self.fields if name not in ("Code", "Title")]
        return "\n".join(filter(None, [head, *rest]))


def find(blocks: Sequence[Block]) -> Iterator[Entry]:
    """Yield the fault entries in their order."""
    index = 0
    while index < len(blocks):
        entry = _entry(blocks, index)
        if entry:
            yield entry
            index = entry.end
        else:
            index += 1


def heading(text: str) -> tuple[str, str] | None:
    """Return code and title of a fault's heading, None for any other text."""
    text = " ".join(text.split())
    if len(text) > 200 or not any(c.isdigit() or c in "._-" for c in text[:24]):
        return None
    match = HEADING.match(text)
    if not match:
        return None
    code = match["code"] or match["bare"]
    if match["code"] and not code[0].isupper() and not code.startswith("0"):
        return None
    return code.strip(), match["title"].strip(" -–—:：")


def _head(text: str) -> list[tuple[str, str]]:
    """Return the fields an entry begins with: code and title, or a symptom; none for other text."""
    found = heading(text)
    if found:
        return [("Code", found[0]), ("Title", found[1])]
    symptom = _SYMPTOM.match(" ".join(text.split()))
    return [(symptom["name"], symptom["words"])] if symptom else []


def _is_head(blocks: Sequence[Block], index: int) -> bool:
    block = blocks[index]
    if block.table or not _head(block.text):
        return False
    labels = set()
    symptom = not heading(block.text)
    for ahead in range(index + 1, min(index + 1 + LOOK_AHEAD, len(blocks))):
        other = blocks[ahead]
        if other.table:
            continue
        match = LABEL.match(other.text)
        if symptom and _SYMPTOM.match(other.text):
            break
        if match:
            labels.add(match.lastgroup)
        elif _closes(block, other):
            break
        if labels & {"cause", "remedy"} and (symptom or block.title or len(labels) > 1):
            return True
    return False


def _closes(head: Block, other: Block) -> bool:
    """Return whether a block after a heading cannot be of its entry."""
    if heading(other.text) and (other.title or not head.title):
        return True
    return other.title and head.title and other.depth <= head.depth


def _entry(blocks: Sequence[Block], start: int) -> Entry | None:
    found = _head(blocks[start].text) if _is_head(blocks, start) else []
    if not found:
        return None
    entry = Entry(start, start + 1, found)
    end = _end(blocks, start)
    while blocks[end - 1].table:
        end -= 1
    entry.end = end
    parts: list[tuple[str, list[str]]] = []
    for index in range(start + 1, end):
        block = blocks[index]
        match = None if block.table else LABEL.match(block.text)
        if block.table:
            entry.tables.append(index)
        if match:
            name = block.text[: match.end()].strip(" :：【】[]\n")
            parts.append((name, [block.text[match.end() :]]))
        elif parts:
            parts[-1][1].append(block.text)
        else:
            parts.append(("Description", [block.text]))
    entry.fields += [(name, "\n".join(filter(None, texts)).strip()) for name, texts in parts]
    return entry


def _end(blocks: Sequence[Block], start: int) -> int:
    """Return the index after the last block of the entry that begins at `start`."""
    index = start + 1
    seen: dict[str, str] = {}
    while index < len(blocks) and index - start < MAX_BLOCKS:
        block = blocks[index]
        label = None if block.table else LABEL.match(block.text)
        if label:
            seen[_name(label)] = label.lastgroup or ""
        elif not block.table and (
            _is_head(blocks, index)
            or (block.title and _ends(blocks[start], block))
            # Under a heading all is the entry's up to the next one. Without headings nothing but
            # the text itself tells where the last entry of a list ends.
            or not (blocks[start].title or _goes_on(blocks, index, seen))
        ):
            break
        index += 1
    return index


def _ends(head: Block, block: Block) -> bool:
    """Return whether a heading ends the entry: one as high as its own, or any in plain text."""
    return not head.title or block.depth <= head.depth


def _name(label: re.Match[str]) -> str:
    return label.group().strip(" :：【】[]\n").casefold()


def _goes_on(blocks: Sequence[Block], index: int, seen: dict[str, str]) -> bool:
    """Return whether a paragraph goes on with the entry above it.

    `seen` are the labels so far and their kinds. Until there are both cause and remedy, one that
    comes soon tells that the entry is not over.
    """
    text, above = blocks[index].text, blocks[index - 1]
    if _ITEM.match(text) or text.lstrip()[:1].islower():
        return True
    if not above.table:
        label = LABEL.match(above.text)
        if (label and label.end() == len(above.text)) or above.text.rstrip().endswith(_UNFINISHED):
            return True
    if {"cause", "remedy"} <= set(seen.values()):
        return False
    for ahead in range(index + 1, min(index + 1 + LOOK_AHEAD, len(blocks))):
        other = blocks[ahead]
        if other.table:
            continue
        if label := LABEL.match(other.text):
            return _name(label) not in seen
        if other.title or _is_head(blocks, ahead):
            return False
    return False
