"""Where in the plant a question is asked: `On conveyor B417: …`, `next to the ABB robot` (pure).

A plant calls its machines as it likes, and no manual knows; what stands beside the machine is not
asked about. Neither speaks against an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.retriever.tokens import tokens

_TAG = r"[A-Za-z]{1,4}[-_]?\d{1,5}[A-Za-z]?(?![A-Za-z0-9])"
_SURELY = re.compile(r"(?:E|F|ERR|ER|AL|ALM)[-_]?\d{2,6}|A[-_]?\d{4,6}", re.IGNORECASE)
"""What is a fault's code wherever it stands."""
_TAGGED = re.compile(
    r"\b(?:conveyor|line|machine|station|press|pump|cell|hall|robot|crane|hoist|cabinet|panel|tank|"
    r"fan|blower|mixer|oven|lift|elevator|gate|door|belt|axis|unit|bay|area|plant|shop|workshop|"
    r"filler|packer|palleti[sz]er|labell?er|lathe|mill|saw|furnace|boiler|compressor|motor)s?"
    rf"\s+(?:no\.?\s*|number\s*|nr\.?\s*|#)?({_TAG})"
    rf"|(?:线|泵|站|工位|车间|机台|电柜|炉|风机|输送机|压机|输送带|皮带)\s*({_TAG})"
    rf"|(?<![A-Za-z0-9])({_TAG})\s*(?:号|#)?(?:输送|产线|生产线|流水线|皮带|机台|工位|线|机组|泵|车间)",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    r"\b(?:next to|near|nearby|beside|behind|opposite|close to|in front of|adjacent to|across from|"
    r"(?:left|right) of)\s+((?:(?!\b(?:shows?|is|has|trips?|stops?|says|reports?|does|do|"
    r"displays?|gives?|with|and|keeps?|goes|runs?|fails?)\b)[^,;:.?!，；：。？！]){1,40})",
    re.IGNORECASE,
)
_NEARBY = re.compile(r"旁边|附近|隔壁|边上|对面")
_BEFORE = re.compile(r"[^,;:.?!，；：。？！\s][^,;:.?!，；：。？！]{0,16}\Z")
"""What such a word stands behind."""
_LEADS = re.compile(
    r"\s*(?:(?:on|at|in|by|for|from|inside|of|next to|near|beside|behind|opposite|close to)\s+"
    r"[^,;:.?!，；：。？！]{1,60}[:：,，]"
    r"|[^,;:.?!，；：。？！]{1,24}(?:旁边|附近|隔壁|边上|对面)[^,;:.?!，；：。？！]{0,10}[:：,，]"
    r"|在[^,;:.?!，；：。？！]{1,24}[:：，])(?=\s*\S)",
    re.IGNORECASE,
)
_MOST = 8
"""Machines whose words are looked for in the rest of a question, the first."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a question says of the place; tokens that stand nowhere else in it."""

    tags: frozenset[str]
    """Numbers of machines of the plant."""
    beside: frozenset[str]
    """What only stands beside the machine."""
    place: frozenset[str]
    """Words that say where, and no more: what the question begins with."""


def setting(question: str, asset: str = "") -> Setting:
    """Return where in the plant a question is asked.

    Args:
        question: as asked.
        asset: the machine it comes from; its names are numbers of the plant too.
    """
    tagged = list(_TAGGED.finditer(question))
    named = [(next(filter(None, match.groups())), match[0]) for match in tagged]
    named = [(tag, machine) for tag, machine in named if not _SURELY.fullmatch(tag)]
    tags = [tag for tag, _ in named]
    beside = [match.span(1) for match in _BESIDE.finditer(question)]
    beside += [
        before.span()
        for nearby in _NEARBY.finditer(question)
        if (before := _BEFORE.search(question, max(0, nearby.start() - 17), nearby.start()))
    ]
    leads = _LEADS.match(question)
    told: frozenset[str] = frozenset()
    if beside:
        rest = question
        for start, end in beside:
            rest = rest[:start] + " " * (end - start) + rest[end:]
        told = frozenset(tokens(rest))
    place: frozenset[str] = frozenset()
    if leads and (beside or tags or leads[0].rstrip()[-1] in ":："):
        place = frozenset(tokens(leads[0])) - frozenset(tokens(question[leads.end() :]))
    for machine in list(dict.fromkeys(machine for _, machine in named))[:_MOST]:
        # `conveyor` of `conveyor B417`, where it is not spoken of besides.
        place |= frozenset(tokens(machine)) - frozenset(tokens(question.replace(machine, " ")))
    names = asset.split("/") if asset else ()
    return Setting(
        tags=frozenset(token for tag in (*tags, *names) for token in tokens(tag)),
        beside=frozenset(t for start, end in beside for t in tokens(question[start:end])) - told,
        place=place,
    )
