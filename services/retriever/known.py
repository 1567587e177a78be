"""Which passages have the codes of a question, which codes nobody has, and what is near them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from services.retriever.asked import (
    forgiving,
    forms,
    hexadecimal,
    in_turn,
    is_number,
    outermost,
    respelt,
    spellings,
    worded,
)
from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.holdings import CodeHit
from services.retriever.kinds import said
from services.retriever.lists import Listed, listed, near_in_list
from services.retriever.near import likeliest, neighbours
from services.retriever.normal import shown, split
from services.retriever.records import DEFINES, LEADS, as_printed

T = TypeVar("T")
_FAULTY = frozenset((*"#EFAWCNHPR", "AL", "ERR", "OC", "OL", "OV", "OH", "OU", "UV", "LU", "GF"))
"""Prefixes of what is asked for even where the question has another code: `M1` is the motor."""
_ZEROS = 3
"""Zeros more than a manual writes after the letters, from which on a code is another one."""
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
    place: int = 0
    """Which of the codes it is: those of one sort that are asked for, counted from 0."""


@dataclass(slots=True)
class Known:
    """What the manuals have of the codes that were asked for."""

    hits: dict[int, Match] = field(default_factory=dict)
    """By passage."""
    codes: list[str] = field(default_factory=list)
    """Codes that were asked for, as manuals print them; unknown ones as they were asked for."""
    told: Sequence[Code] = ()
    """Those as the question has them."""
    unknown: list[str] = field(default_factory=list)
    """Codes nobody has, as they were asked for."""
    near: dict[str, list[str]] = field(default_factory=dict)
    """By unknown code, defined ones that may have been meant, the likeliest first."""
    stranger: str = ""
    """A maker or a product that no manual speaks of: what others mean by its codes is no answer."""
    foreign: bool = False
    """Its numbers are not in the machine's own manuals, and what others mean by them is nothing."""
    spoken_of: Sequence[Code] = ()
    """Codes that are only mentioned: as good as unknown where that answers nothing."""

    @property
    def certain(self) -> bool:
        """Return whether any passage has a code that is surely asked for."""
        return any(hit.certain for hit in self.hits.values())

    def leads(self, passage: int) -> bool:
        """Return whether a passage begins with a code that is surely asked for."""
        hit = self.hits.get(passage)
        return hit is not None and hit.certain and hit.strength >= LEADS

    def add(
        self,
        hits: Iterable[CodeHit],
        canonical: Collection[str] = (),
        *,
        certain: bool = True,
        place: int = 0,
    ) -> None:
        """Take the hits of a code, those with one of the canonical forms as exact ones."""
        for hit in hits:
            mine = Match(hit.document, hit.strength, hit.canonical in canonical, certain, place)
            there = self.hits.get(hit.passage)
            if there is None or _rank(mine) > _rank(there):
                self.hits[hit.passage] = mine


def _rank(match: Match) -> tuple[int, bool, bool]:
    return match.strength, match.certain, match.exact


async def look_up(
    corpus: Corpus,
    asked: Sequence[Code],
    first: Collection[int] = (),
    *,
    only: bool = False,
    own: Collection[int] = (),
) -> Known:
    """Return what the manuals have of some codes.

    A number alone means something in the machine's own manuals only: each counts from 1.

    Args:
        corpus: where to look.
        asked: codes of a question, from `asked.codes_asked`.
        first: numbers of revisions that go before others, such as those of the asset.
        only: a code that looks like one by itself counts in no others: the question is about
            these, and what another maker means by it is no answer.
        own: numbers of the revisions that are the machine's own; none where any may be.
    """
    known = Known()
    if not asked:
        return known
    there = await corpus.lookup_loose(forgiving(asked), first=own or first)
    if only:
        there = _among(there, first)
    mine = _among(there, own) if own else there
    found = {code: meant(code, mine if is_number(code) else there) for code in dict.fromkeys(asked)}
    lists: dict[Code, Listed] = {}
    for code in filter(is_number, found):
        lists[code] = await listed(corpus, said(code, found), found[code])
        found[code] = lists[code].hits
    asked = outermost(list(found), [code for code, hits in found.items() if _has(hits, LEADS)])
    parts = [code for code in found if code.certain and code not in asked]
    turns = in_turn([code for code in asked if code.certain and code.asked and found[code]])
    for code in asked:
        # `F30 005` surely asks for a code; that it is F30005, the manual tells.
        sure = code.certain or worded(code) or hexadecimal(code) != ""
        sure = sure or any(code.start <= p.start and p.end <= code.end for p in parts)
        known.add(found[code], spellings(code), certain=sure, place=turns.get(code.loose, 0))
    # That a machine's manual speaks of a second fault somewhere does not list fault 2.
    missing = [
        c
        for c in asked
        if c.certain
        and c.asked
        and (not found[c] or ((only or own) and c.canonical[0] == "#" and _mentioned(found[c])))
    ]
    if first and not only:
        elsewhere = [c for c in asked if c.certain and found[c] and not _among(found[c], first)]
        await _own_spelling(corpus, elsewhere, known, first)
    for code in [c for c in missing if c in lists and lists[c].manuals]:
        missing.remove(code)
        if shown(code) not in known.unknown:
            known.unknown.append(shown(code))
        if near := await near_in_list(corpus, code, said(code, found), lists[code].manuals):
            known.near[shown(code)] = near
    numbers = [c for c in missing if own and is_number(c)]
    names = await _of_missing(corpus, numbers, known, own, only=True) if numbers else {}
    if others := [c for c in missing if c not in numbers]:
        names |= await _of_missing(corpus, others, known, first, only=only)
    known.foreign = bool(own and known.unknown) and not (
        others or any(hit.certain and hit.strength >= LEADS for hit in known.hits.values())
    )
    known.spoken_of = [c for c in asked if c.certain and c.asked and _mentioned(found[c])]
    sure = any(code.certain for code in asked)
    known.told = [
        code
        for code in asked
        # Letters alone may be any word.
        if (code.certain and (code.asked or found[code]))
        or (not sure and found[code] and _DIGIT.search(code.canonical))
    ]
    names |= await _printed(
        corpus, {code: hit for code in known.told if (hit := _as_written(code, found[code]))}
    )
    known.codes = list(dict.fromkeys(names.get(code) or shown(code) for code in known.told))
    return known


async def unanswered(
    corpus: Corpus, known: Known, first: Collection[int] = (), *, only: bool = False
) -> None:
    """Take the codes that are only mentioned for unknown: no passage answers.

    A frame's bytes may be `E6`. Arguments as for `look_up`.
    """
    near = {code: neighbours(code.loose) for code in known.spoken_of}
    wanted = {form for forms in near.values() for form in forms}
    there = await corpus.lookup_near(sorted(wanted), first=first, only=only) if wanted else {}
    for code, slips in near.items():
        name = shown(code)
        if name not in known.unknown:
            known.unknown.append(name)
        if likely := likeliest(code.loose, [form for form in slips if form in there]):
            known.near[name] = await _offered(corpus, likely, first, only=only)


async def of_stranger(corpus: Corpus, known: Known, name: str) -> None:
    """Take the codes for unknown: they are those of a maker that no manual speaks of.

    Those that others spell so may have been meant. Nothing changes without a name.
    """
    if not name:
        return
    known.stranger = name
    asked = [code for code in known.told if code.certain]
    known.unknown = [f"{name} {shown(code)}" for code in asked]
    known.near = {}
    for code, unknown in zip(asked, known.unknown, strict=True):
        if printed := await _offered(corpus, [code.loose], (), only=False):
            known.near[unknown] = printed
    known.codes = list(known.unknown)


def meant(code: Code, there: Sequence[CodeHit]) -> list[CodeHit]:
    """Return the hits that are the code's: in each document those of its likeliest form there.

    Args:
        code: as asked.
        there: hits of all its forms.
    """
    order = {form: place for place, form in enumerate(forms(code))}
    mine = [hit for hit in there if hit.loose in order and not _another(code, hit)]
    if not code.certain:
        mine = [hit for hit in mine if hit.strength >= DEFINES]
    best: dict[int, tuple[bool, int]] = {}
    for hit in mine:
        place = order[hit.loose]
        # A form that is not the code's own one says nothing where it is only mentioned, and
        # goes before a mention of its own one where it is defined.
        # `Fault 2` is no chapter `A.2`: a number has to be listed with letters before it.
        least = DEFINES if code.canonical[0] == "#" else LEADS
        if hit.strength >= least or place == 0:
            rank = (hit.strength < (DEFINES if place else LEADS), place)
            best[hit.document] = min(rank, best.get(hit.document, rank))
    return [
        hit for hit in mine if hit.document in best and order[hit.loose] == best[hit.document][1]
    ]


def _another(code: Code, hit: CodeHit) -> bool:
    """Return whether a hit is of something else: a byte or a terminal `E6` is not `E006`.

    Nor is what begins a line `E0006`. With two digits or more, zeros before them make no
    difference anywhere.
    """
    letters, digits = split(code.canonical)
    if letters and digits[0:1] == "0" and len(digits) - len(split(hit.canonical)[1]) >= _ZEROS:
        return True
    short = len(split(code.loose)[1]) == 1
    return short and hit.strength < LEADS and hit.canonical not in spellings(code)


async def _own_spelling(
    corpus: Corpus, elsewhere: Sequence[Code], known: Known, first: Collection[int]
) -> None:
    """Look for codes that only other manuals have as typed as these manuals may spell them."""
    spelt = {form for code in elsewhere for form in respelt(code)}
    spelt |= {_number(code) for code in elsewhere if split(code.loose)[0] == _GENERIC}
    hits = await corpus.lookup_loose(sorted(spelt), first=first)
    known.add(hit for hit in _among(hits, first) if hit.strength >= DEFINES)


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
    near = {
        code: likeliest(code.loose, [form for form in slips[code] if form in there])
        for code in spelt
    }
    for code, others in spelt.items():
        instead = next((form for form in others if form in there), "")
        own = split(code.loose)[0]
        if not instead and own == _GENERIC and not any(split(n)[0] == own for n in near[code]):
            # No manual writes codes like that: `Err18` is error 18.
            instead = _number(code) if _number(code) in there else ""
        if instead:
            hits = await corpus.lookup_loose([instead], first=first)
            hits = _among(hits, first) if only else hits
            known.add(hits)
            respelled |= await _printed(corpus, {code: hits[0]})
            continue
        if known.hits and (split(code.loose)[0] or "#") not in _FAULTY:
            continue
        name = shown(code)
        if name not in known.unknown:
            known.unknown.append(name)
        if near[code]:
            known.near[name] = await _offered(corpus, near[code], first, only=only)
    return respelled


async def _offered(
    corpus: Corpus, loose: Sequence[str], first: Collection[int], *, only: bool
) -> list[str]:
    """Return codes that some passage defines as it prints them, in order."""
    hits = await corpus.lookup_loose(loose, first=first)
    defining: dict[str, CodeHit] = {}
    for hit in _among(hits, first) if only else hits:
        defining.setdefault(hit.loose, hit)
    printed = await _printed(corpus, defining)
    return [printed[form] for form in loose if form in printed]


async def _printed(corpus: Corpus, hits: Mapping[T, CodeHit]) -> dict[T, str]:
    """Return codes as the passages print them that have them."""
    if not hits:
        return {}
    there = await corpus.fetch([hit.passage for hit in hits.values()])
    return {
        one: as_printed(hit.canonical, there[hit.passage].passage)
        for one, hit in hits.items()
        if hit.passage in there
    }


def _as_written(code: Code, hits: Sequence[CodeHit]) -> CodeHit | None:
    """Return the first hit that begins with the code in just this spelling, separators aside.

    Else one with the zeros that were left out, where all write as many: `A7910` is `A07910`.
    """
    own = spellings(code)
    typed = [hit for hit in hits if hit.strength >= LEADS and hit.canonical in own]
    if typed:
        return min(typed, key=lambda hit: own.index(hit.canonical))
    marked = [h for h in hits if h.strength >= DEFINES and h.loose == hexadecimal(code)]
    if marked:
        return marked[0]
    letters, digits = split(code.canonical)
    padded = [hit for hit in hits if hit.strength >= DEFINES and hit.loose == code.loose]
    once = {hit.canonical for hit in padded}
    if letters and digits.isdigit() and len(once) == 1:
        other, more = split(padded[0].canonical)
        return padded[0] if other == letters and len(more) > len(digits) else None
    return None


def _number(code: Code) -> str:
    return f"#{split(code.loose)[1]}"


def _among(hits: Sequence[CodeHit], documents: Collection[int]) -> list[CodeHit]:
    return [hit for hit in hits if hit.document in documents]


def _mentioned(hits: Sequence[CodeHit]) -> bool:
    return bool(hits) and not _has(hits, LEADS)


def _has(hits: Sequence[CodeHit], strength: int) -> bool:
    return any(hit.strength >= strength for hit in hits)
