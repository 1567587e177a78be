"""Where two words of Chinese meet (pure).

Chinese is searched for in pairs of characters. A pair that is the end of one word of the trade and
the beginning of the next (`器过` of `变频器过流`) is rare, and says nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from services.retriever.tokens import is_cjk


def seams(question: str, terms: Collection[tuple[int, int]]) -> frozenset[str]:
    """Return the pairs of characters that stand only where two words meet.

    Args:
        question: as asked.
        terms: where words of the trade begin and end in it, characters.
    """
    begins = {start for start, _ in terms}
    ends = {end for _, end in terms}
    inside = {at for start, end in terms for at in range(start + 1, end)}
    found: set[str] = set()
    kept: set[str] = set()
    for at in range(1, len(question)):
        pair = question[at - 1 : at + 1]
        if not (is_cjk(pair[0]) and is_cjk(pair[1])):
            continue
        meet = at in begins and at in ends and at not in inside
        (found if meet else kept).add(pair)
    return frozenset(found - kept)
