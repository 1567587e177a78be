"""Entries of faults and parameters: a heading with a code, then its parts in paragraphs (pure).

Manuals that give each fault half a page print its code as a heading, then cause and remedy behind
labels; a parameter's heading is followed by its range, unit and default. Such an entry becomes one
passage, whatever pages it runs over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from services.ingest import parameters, parts, sharing
from services.ingest.units import Block, Entry, Part

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
_VARIANTS = r"(?:\s*(?P<variants>\([A-Z](?:\s*,\s*[A-Z])*\)))?"
HEADING = re.compile(
    rf"""^(?:
        (?:(?i:{_KIND}{_NUMBER}))?(?P<code>{_CODE}){_VARIANTS}
        | (?i:{_KIND}{_NUMBER})(?P<bare>\d{{1,6}})
    )(?:\s*[:：\-–—,，、|/]+\s*|\s+|(?=[\u4e00-\u9fff（(])|$)(?P<title>.{{0,160}})$""",
    re.VERBOSE,
)
_LABELS = {
    "cause": (
        r"(?:(?:possible|probable|likely|potential|common|typical|usual|main|root) )?"
        r"(?:causes?|reasons?)"
        r"|(?:常见|主要)?(?:可能|故障|报警|告警|错误)?(?:的)?原因(?:分析)?"
    ),
    "remedy": (
        r"remed(?:y|ies)"
        r"|(?:(?:corrective|recommended|suggested|immediate|critical|required|temporary) )?"
        r"(?:actions?|measures?)(?: required)?"
        r"|(?:possible |suggested |recommended )?(?:solutions?|fix(?:es)?)|how to fix(?: it)?"
        r"|(?:diagnostic|resolution|troubleshooting|repair|recovery) (?:steps|procedures?)"
        r"|resolutions?|steps"
        r"|counter-?measures?|troubleshooting|what to do|rectification|elimination"
        r"|(?:故障)?(?:对策|处理|措施|排除)(?:方法|措施|对策|办法)?|解决(?:方法|办法|方案|措施)|纠正措施"
    ),
    "other": (
        r"reactions?|responses?|acknowledge(?:ment)?|reset|description|meaning|explanation"
        r"|symptoms?|message class|message value|component|severity|drive object|propagation|effect"
        r"|反应|动作|保护动作|确认|复位|说明|(?:信息|故障|报警|告警|错误|详细)?描述|含义|现象|故障现象"
        r"|故障名称|级别|影响"
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
_CHAPTER = re.compile(
    r"^(?:(?:appendix|chapter|section|annex)\s+[A-Z\d]|附录|第\s*[一二三四五六七八九十\d]+\s*[章节部]"
    r"|[IVX\u2160-\u216b]+[.、]|[一二三四五六七八九十]+、)",
    re.IGNORECASE,
)
"""What ends the last parameter where headings are plain text."""
_STEP = re.compile(r"^\s*(\d{1,2})[.、)）]\s*\D")
LOOK_AHEAD = 14
"""Blocks after a heading within which a cause or a remedy must come."""
MAX_BLOCKS = 400
"""Blocks of an entry: more are no entry but a chapter."""
_NEAR = 2
"""Blocks after a parameter's heading within which range, unit or default must begin."""
_CHAIN = 16
"""Headings of parameters at most that share what follows the last of them."""


def find(blocks: Sequence[Block]) -> Iterator[Entry]:
    """Yield the entries in their order; parameters that share a description have it each."""
    found: list[Entry] = []
    index = 0
    below = False
    while index < len(blocks):
        block = blocks[index]
        if block.title:
            below = parameters.heading(block.text) is not None
        entry = _entry(blocks, index, below=below)
        if entry:
            found.append(entry)
            index = entry.end
        else:
            index += 1
    yield from sharing.shared(found)


def heading(text: str) -> tuple[str, str] | None:
    """Return code and title of a fault's heading, None for any other text."""
    match = _match(text)
    return (_code(match), match["title"].strip(" -–—:：")) if match else None


def _match(text: str) -> re.Match[str] | None:
    text = " ".join(text.split())
    if len(text) > 200 or not any(c.isdigit() or c in "._-" for c in text[:24]):
        return None
    match = HEADING.match(text)
    code = match["code"] if match else ""
    return None if code and not code[0].isupper() and not code.startswith("0") else match


def _code(match: re.Match[str]) -> str:
    return str(match["code"] or match["bare"]).strip()


def begins(text: str) -> bool:
    """Return whether a line is the beginning of an entry, or of a part of one."""
    return bool(LABEL.match(text) or heading(text) or parameters.settings(text))


def heads(line: str, below: str) -> bool:
    """Return whether a line is a parameter's heading, by itself or by the line below it."""
    head = parameters.heading(line)
    return head is not None and (bool(head.line.parts) or parameters.settings(below) is not None)


def _begun(blocks: Sequence[Block], start: int, *, below: bool) -> Entry | None:
    """Return the entry that begins with a block, its heading alone, None where none does.

    `below` says whether it is below a parameter whose heading is a heading.
    """
    text = blocks[start].text
    if blocks[start].table:
        return None
    if _is_fault(blocks, start):
        match = _match(text)
        if match:
            code, title = _code(match), match["title"].strip(" -–—:：")
            printed = " ".join(filter(None, (code, match["variants"], title)))
            return Entry(start, start + 1, [("Code", code), ("Title", title)], printed)
        symptom = _SYMPTOM.match(" ".join(text.split()))
        return Entry(start, start + 1, [(symptom["name"], symptom["words"])]) if symptom else None
    head = parameters.heading(text) if _is_head(blocks, start, below=below) else None
    if not head:
        return None
    printed = f"{head.code}{head.index} {head.name}"
    entry = Entry(start, start + 1, [("Code", head.code), ("Name", head.name)], printed)
    parts.add_line(entry, start, head.line)
    return entry


def _is_head(blocks: Sequence[Block], index: int, *, below: bool) -> bool:
    if blocks[index].table:
        return False
    alone = not below or _stands_out(blocks[index])
    return _is_fault(blocks, index) or (alone and _is_parameter(blocks, index))


def _stands_out(block: Block) -> bool:
    """Return whether a parameter may begin with a block below another whose heading is a heading.

    Those of others are headings too, unless range or default stand on the same line: models that
    a parameter is for look like codes.
    """
    head = parameters.heading(block.text)
    return block.title or (head is not None and bool(head.line.kinds & {"range", "default"}))


def _is_fault(blocks: Sequence[Block], index: int) -> bool:
    block = blocks[index]
    symptom = not heading(block.text)
    if symptom and not _SYMPTOM.match(" ".join(block.text.split())):
        return False
    labels = set()
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


def _is_parameter(blocks: Sequence[Block], index: int) -> bool:
    """Return whether a block heads a parameter: range, unit, default follow it or its like."""
    head = parameters.heading(blocks[index].text)
    if not head:
        return False
    names, place = len(head.line.parts), index + 1
    if head.line.kinds & {"range", "default"} or names >= parts.SOME:
        return True
    others = 0
    while place < len(blocks) and others < _CHAIN:
        other = parameters.heading(blocks[place].text)
        if not other or not parameters.alike(head.code, other.code):
            break
        if other.line.parts:
            return True
        others += 1
        place += 1
    near = _NEAR if not blocks[index].title else 2 * _NEAR
    for ahead in range(place, min(place + near, len(blocks))):
        block = blocks[ahead]
        line = None if block.table or block.title else parameters.within(block.text)
        names += len(parameters.columns(block.text) or (line.parts if line else ()))
        if names >= parts.SOME or (
            line and blocks[index].title and line.kinds & {"range", "default"}
        ):
            return True
    return False


def _stays(table: Block, *, last: bool) -> bool:
    """Return whether a table after a parameter's words is the parameter's."""
    return not last or parts.is_line(table.text)


def _closes(head: Block, other: Block) -> bool:
    """Return whether a block after a heading cannot be of its entry."""
    if heading(other.text) and (other.title or not head.title):
        return True
    return other.title and head.title and other.depth <= head.depth


def _entry(blocks: Sequence[Block], start: int, *, below: bool) -> Entry | None:
    entry = _begun(blocks, start, below=below)
    if not entry:
        return None
    end = _end(blocks, start, parameter=entry.parameter)
    last = end == len(blocks)
    while blocks[end - 1].table and not (entry.parameter and _stays(blocks[end - 1], last=last)):
        end -= 1
    entry.end = end
    index = start + 1
    while index < end:
        block = blocks[index]
        names = parameters.columns(block.text) if entry.parameter else []
        if block.table and not (entry.parameter and parts.is_line(block.text)):
            entry.tables.append(index)
            if not entry.parameter and parts.is_bits(block.text):
                parts.add(entry, index, block.text, None)
        elif names and index + 1 < end:
            index += 1
            for name, value in parameters.cells(names, blocks[index].text):
                entry.parts.append(Part(name, [(index, value)]))
        else:
            parts.add(entry, index, block.text, LABEL.match(block.text))
        index += 1
    return entry


def _end(blocks: Sequence[Block], start: int, *, parameter: bool) -> int:
    """Return the index after the last block of the entry that begins at `start`."""
    index, step = start + 1, 0
    head = blocks[start]
    seen: dict[str, str] = {}
    while index < len(blocks) and index - start < MAX_BLOCKS:
        block = blocks[index]
        label = None if block.table else LABEL.match(block.text)
        number = _STEP.match(block.text)
        next_step = parameter and number is not None and int(number[1]) == step + 1
        if next_step:
            step += 1
        if label:
            seen[_name(label)] = label.lastgroup or ""
        elif not block.table and (
            _is_head(blocks, index, below=parameter and head.title)
            # A step may be bold: the next one of a list is no heading.
            or (block.title and _ends(head, block) and not (next_step and step > 1))
            # Under a heading all is the entry's up to the next one. Without headings nothing but
            # the text itself tells where the last entry of a list ends.
            or (parameter and not head.title and _CHAPTER.match(block.text))
            or not (parameter or head.title or _goes_on(blocks, index, seen))
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
        if other.title or _is_head(blocks, ahead, below=False):
            return False
    return False
