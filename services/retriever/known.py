"""Which passages have the codes of a question, which codes nobody has, and what is near them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from services.retriever.asked import forgiving, forms, outermost, respelt
from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.holdings import CodeHit
from services.retriever.near import likeliest, neighbours
from services.retriever.normal import printable, split
from services.retriever.records import DEFINES, LEADS

_FAULTY = frozenset((*"#EFAWCNHPR", "AL", "ERR", "OC", "OL", "OV", "OH", "OU", "UV", "LU", "GF"))
"""Prefixes of what is asked for even where the question has another code: `M1` is the motor."""
_DIGIT = re.compile(r"\d")
_GENERIC = "ERR"
"""A prefix that may stand for no more than the word `error`."""


@dataclass(frozen=True, slots=True)
class Match:
    """The strongest code of the question that a passage has."""

    document: int
    """Number of the passage's revision."""
    strength: int
    """See services.retriever.records."""
    exact: bool
    """It has the canonical form."""
    certain: bool
    """The question surely asks for it."""


@dataclass(slots=True)
class Known:
    """What the manuals have of the codes that were asked for."""

    hits: dict[int, Match] = field(default_factory=dict)
    """By passage."""
    codes: list[str] = field(default_factory=list)
    """Codes that were asked for, as they are told to people: as manuals write what was misspelt."""
    unknown: list[str] = field(default_factory=list)
    """Codes nobody has, as they are told to people."""
    near: dict[str, list[str]] = field(default_factory=dict)
    """By unknown code, defined ones that may have been meant, the likeliest first."""

    @property
    def certain(self) -> bool:
        """Return whether any passage has a code that is surely asked for."""
        return any(hit.certain for hit in self.hits.values())

    def add(self, hits: Iterable[CodeHit], canonical: str = "", *, certain: bool = True) -> None:
        """Take the hits of a code."""
        for hit in hits:
            mine = Match(hit.document, hit.strength, hit.canonical == canonical, certain)
            there = self.hits.get(hit.passage)
            if there is None or _rank(mine) > _rank(there):
                self.hits[hit.passage] = mine


def _rank(match: Match) -> tuple[int, bool, bool]:
    return match.strength, match.certain, match.exact


async def look_up(
    corpus: Corpus, asked: Sequence[Code], first: Collection[int] = (), *, only: bool = False
) -> Known:
    """Return what the manuals have of some codes.

    Args:
        corpus: where to look.
        asked: codes of a question, from `asked.codes_asked`.
        first: numbers of revisions that go before others, such as those of the asset.
        only: a code that looks like one by itself counts in no others: the question is about
            these, and what another maker means by it is no answer.
    """
    known = Known()
    if not asked:
        return known
    there = await corpus.lookup_loose(forgiving(asked), first=first)
    if only:
        there = [hit for hit in there if hit.document in first]
    found = {code: meant(code, there) for code in dict.fromkeys(asked)}
    asked = outermost(list(found), [code for code, hits in found.items() if _has(hits, LEADS)])
    parts = [code for code in found if code.certain and code not in asked]
    for code in asked:
        # `F30 005` surely asks for a code; that it is F30005, the manual tells.
        sure = code.certain or any(code.start <= p.start and p.end <= code.end for p in parts)
        known.add(found[code], code.canonical, certain=sure)
    missing = [c for c in asked if c.certain and c.asked and not found[c]]
    respelt = await _of_missing(corpus, missing, known, first, only=only) if missing else {}
    sure = any(code.certain for code in asked)
    for code in asked:
        # Letters alone may be any word.
        told = code.certain and (code.asked or found[code])
        if told or (not sure and found[code] and _DIGIT.search(code.canonical)):
            name = respelt.get(code) or printable(code.canonical)
            known.codes += [name] if name not in known.codes else []
    return known


def meant(code: Code, there: Sequence[CodeHit]) -> list[CodeHit]:
    """Return the hits that are the code's: in each document those of its likeliest form there.

    Args:
        code: as asked.
        there: hits of all its forms.
    """
    order = {form: place for place, form in enumerate(forms(code))}
    mine = [hit for hit in there if hit.loose in order]
    if not code.certain:
        mine = [hit for hit in mine if hit.strength >= DEFINES]
    best: dict[int, int] = {}
    for hit in mine:
        if hit.strength >= LEADS or order[hit.loose] == 0:
            place = order[hit.loose]
            best[hit.document] = min(place, best.get(hit.document, place))
    # A form that is not the code's own one says nothing where it is only mentioned.
    return [hit for hit in mine if order[hit.loose] == best.get(hit.document, -1)]


async def _of_missing(
    corpus: Corpus, missing: Sequence[Code], known: Known, first: Collection[int], *, only: bool
) -> dict[Code, str]:
    """Look for other spellings of codes that no manual has, and for codes near them.

    Returns what a manual writes for those that were spelt another way.
    """
    respelled: dict[Code, str] = {}
    words = {} if only else await corpus.frequency([c.canonical.lower() for c in missing])
    spelt = {code: respelt(code) for code in missing if code.canonical.lower() not in words}
    slips = {code: neighbours(code.loose) for code in spelt}
    wanted = {form for group in (*spelt.values(), *slips.values()) for form in group}
    wanted |= {_number(code) for code in spelt}
    there = await corpus.lookup_near(sorted(wanted), first=first, only=only)
    for code, others in spelt.items():
        near = likeliest(code.loose, [form for form in slips[code] if form in there])
        instead = next((form for form in others if form in there), "")
        own = split(code.loose)[0]
        if not instead and own == _GENERIC and not any(split(n)[0] == own for n in near):
            # No manual writes codes like that: `Err18` is error 18.
            instead = _number(code) if _number(code) in there else ""
        if instead:
            hits = await corpus.lookup_loose([instead], first=first)
            known.add(hit for hit in hits if not only or hit.document in first)
            respelled[code] = printable(there[instead])
            continue
        if known.hits and (split(code.loose)[0] or "#") not in _FAULTY:
            continue
        name = printable(code.canonical)
        if name not in known.unknown:
            known.unknown.append(name)
        if near:
            known.near[name] = [printable(there[form]) for form in near]
    return respelled


def _number(code: Code) -> str:
    return f"#{split(code.loose)[1]}"


def _has(hits: Sequence[CodeHit], strength: int) -> bool:
    return any(hit.strength >= strength for hit in hits)
