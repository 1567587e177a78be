"""Which of the passages that define a code are about what is asked (pure).

A controller counts its errors and its alarms from 1 each: `alarm 2` is not `error 2` where a
manual lists both. And an overview that has the code is not what explains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from schemas.retrieval import DocumentRef, Passage
from services.retriever.codes import Code
from services.retriever.holdings import Found

_KINDS = {
    "alarm": r"alarms?|alm|报警|告警|警报|報警|警報|アラーム",
    "error": r"err(?:or)?s?|错误|錯誤|エラー",
    "fault": r"faults?|flt|trips?|tripped|故障",
    "warning": r"warn(?:ing)?s?|wrn|警告|预警",
    "setting": r"settings?|par(?:am(?:eter)?)?s?|pr|参数|參數|设定|设置|設定|\$",
}
SHARED = 2
"""Numbers that two lists have both, at least, where each counts for itself."""
_TELLS = re.compile(
    r"cause|reason|remed|solution|measure|action|handling|troubleshoot|how to|check|counter|"
    r"原因|处理|對策|对策|措施|解决|排查|排除|方法|検査|対策|処置",
    re.IGNORECASE,
)
"""Headers of what is to be done, and why."""
_KIND = re.compile(
    "|".join(f"(?P<{kind}>(?<![A-Za-z])(?:{words})(?![A-Za-z]))" for kind, words in _KINDS.items()),
    re.IGNORECASE,
)


def of_kind(
    asked: Iterable[Code],
    hits: Iterable[int],
    found: Mapping[int, Found],
    documents: Mapping[int, DocumentRef],
) -> set[int]:
    """Return which of the passages that have a code list what the question says that it is.

    Args:
        asked: codes as the question has them, with the words beside them.
        hits: passages by number.
        found: the passages; those that are not among them are left out.
        documents: revisions that answer, by number.
    """
    kinds = _kinds(" ".join(code.raw for code in asked))
    if not kinds:
        return set()
    return {
        label
        for label in hits
        if (one := found.get(label))
        and (document := documents.get(one.document))
        and is_of(kinds, one.passage, document.title)
    }


def explaining(hits: Iterable[int], found: Mapping[int, Found]) -> set[int]:
    """Return which of the passages that have a code explain it: entries, rows with causes or deeds.

    Beside an entry, other rows are of an overview or an index. None where there is no entry:
    tables need not have a column for what to do.
    """
    there = {label: one for label in hits if (one := found.get(label))}
    entries = {label for label, one in there.items() if one.kind == "entry"}
    if not entries:
        return set()
    rows = {label: one.passage for label, one in there.items() if one.kind == "row"}
    return entries | {
        n for n, row in rows.items() if any(_TELLS.search(f.name) for f in row.fields)
    }


def said(code: Code, asked: Iterable[Code] = ()) -> frozenset[str]:
    """Return what the words beside a code say that it is: `alarm 12`, `报警 12`.

    Args:
        code: as the question has it.
        asked: all codes of the question; where a machine reports this one as well, without a
            word, the question calls it a fault whatever it is.
    """
    told = [_kinds(one.raw) for one in (code, *asked) if one.canonical == code.canonical]
    kinds = frozenset[str]().union(*told)
    return kinds if all(told) else kinds - {"fault"}


def separate(kinds: frozenset[str], numbers: Iterable[tuple[str, frozenset[str]]]) -> bool:
    """Return whether a manual lists some kinds apart from others, so that a number is two things.

    One that has a single list calls it as it likes.

    Args:
        kinds: what the question says that a number is.
        numbers: what the manual lists: each number, and what it is told to be there.
    """
    mine: set[str] = set()
    others: set[str] = set()
    for number, told in numbers:
        if told:
            (mine if told & kinds else others).add(number)
    return len(mine & others) >= SHARED


def is_of(kinds: frozenset[str], passage: Passage, title: str) -> bool:
    """Return whether a passage lists one of these kinds."""
    return bool(tell(passage, title) & kinds)


def tell(passage: Passage, title: str) -> frozenset[str]:
    """Return what a passage lists: its headers say it, its heading or its title.

    What is nearest to the number counts: a table of errors in a chapter on alarms lists errors.
    """
    headers = " ".join(field.name for field in passage.fields)
    for words in (headers, *reversed(passage.section.split(" > ")), title):
        if there := _kinds(words.replace("_", " ")):
            return there
    return frozenset()


def _kinds(text: str) -> frozenset[str]:
    return frozenset(str(match.lastgroup) for match in _KIND.finditer(text))
