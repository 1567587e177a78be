"""Running text: which of a passage's matters answers, and which of its sentences best."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from schemas.retrieval import Hit
from services.orchestrator.blocks import Block, blocks, is_name
from services.orchestrator.choice import structured
from services.orchestrator.sentences import shared, weight

ROOM = 700
"""Characters of one passage in an answer, about a telephone's screen."""

_WHOLE = 1.25
"""A sentence that ends like one beats a scrap that has as much in common."""
_BARE = 0.4
"""A heading with nothing below it says little."""
_VALUE = re.compile(r"[:：=].*\d")
_LEANS = re.compile(
    r"(?:to (?:\w+ ){1,2}|in |for |by |with |if |when |after )?(?:this|these|that|it)\b(?! manual)"
    r"|(?:in (?:this|that|such an?) )?(?:such|therefore|otherwise|thus|consequently)\b"
    r"|[为在因]?[此该这]|否则|因而",
    re.IGNORECASE,
)
_SAID = 0.5
"""What a term counts in a sentence that stands below a heading with it."""
_LONG = 1500
"""Characters at which a block needs twice as much in common: a long one has some of everything."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a passage says on a question."""

    head: str
    """The heading or parameter it stands under; empty where there is none."""
    best: str
    """The sentence nearest to the question; the heading where nothing stands below it."""
    sentences: list[str]
    """The sentences to give, in the passage's order, the best among them."""
    covered: frozenset[str]
    """Terms of the question that head and sentences have."""
    fits: bool = True
    """Whether the head has to do with the question: another matter's may stand above."""


def tell(hit: Hit, asked: frozenset[str], room: int = ROOM) -> Told:
    """Return what a passage says on a question, under its section where that has of it too."""
    section = hit.passage.section.rsplit(" > ", 1)[-1]
    row = structured(hit)
    text = hit.passage.text.replace(" | ", "\n\n") if row else hit.passage.text
    return tell_text(text, asked, section=section, row=row, room=room)


def tell_text(
    text: str, asked: frozenset[str], *, section: str = "", row: bool = False, room: int = ROOM
) -> Told:
    """Return what a text says on a question: one of its matters, whole where it fits.

    Args:
        text: The text.
        asked: Terms of the question.
        section: The heading above it.
        row: Whether it means little without that heading.
        room: Characters to give at most; the best sentence is given whole all the same.
    """
    found = blocks(text)
    if not found:
        flat = " ".join(text.split())
        return Told("", flat, [flat], shared(asked, flat))
    heads = [shared(asked, block.head) for block in found]
    bodies = [[shared(asked, sentence) for sentence in block.sentences] for block in found]
    if not found[0].head and section:
        heads[0] = shared(asked, section)
    own = [head.union(*body) for head, body in zip(heads, bodies, strict=True)]
    spread = Counter(term for terms in own for term in terms)
    places = [_peak(*one) for one in zip(found, heads, bodies, strict=True)]

    def nearness(place: int) -> float:
        block, peak = found[place], places[place]
        long = len(block.head) + sum(map(len, block.sentences))
        at_best = bodies[place][peak] if block.sentences else frozenset()
        bare = not block.sentences and not _VALUE.search(block.head)
        return (_BARE if bare else 1.0) * (
            _count(own[place], spread) / (1 + long / _LONG)
            + _count(at_best | heads[place], spread)
            + _count(heads[place], spread)
        )

    place = max(range(len(found)), key=lambda n: (nearness(n), -n))
    if row and not any(own):
        # Found by its meaning, in the other language perhaps: its first cell may be a bare number.
        place = max(range(len(found)), key=lambda n: (_letters(found[n].sentences), -n))
        said = found[place].sentences
        places[place] = max(range(len(said)), key=lambda n: _letters(said[n : n + 1]), default=0)
    block = found[place]
    if place == 0 and not block.head and (heads[0] - frozenset().union(*bodies[0]) or row):
        block = Block(section, block.sentences)
    if not block.sentences:
        return Told("", block.head, [block.head], heads[place])
    peak = places[place]
    chosen = _chosen(block.sentences, peak, bodies[place], room - len(block.head))
    covered = heads[place].union(*(bodies[place][n] for n in chosen))
    given = list(dict.fromkeys(block.sentences[n] for n in chosen))
    best = block.sentences[peak]
    if best[-1] in ":：":  # what it announces comes next
        best = " ".join(block.sentences[peak : peak + 2])
    fits = row or not covered or bool(heads[place]) or is_name(block.head)
    return Told(block.head, best, given, covered, fits)


def _letters(sentences: list[str]) -> int:
    """Return how much sentences say: their letters."""
    return sum(letter.isalpha() for sentence in sentences for letter in sentence)


def _peak(block: Block, head: frozenset[str], body: list[frozenset[str]]) -> int:
    """Return the place of a block's sentence that is nearest to the question.

    What the heading has already counts less.
    """

    def nearness(place: int) -> float:
        whole = _WHOLE if block.sentences[place][-1:] in ".。!！?？" else 1.0
        new = _count(body[place] - head, within)
        return whole * (new + _SAID * _count(body[place] & head, within))

    within = Counter(term for terms in body for term in terms)
    return max(range(len(body)), key=lambda n: (nearness(n), -n), default=0)


def _chosen(sentences: list[str], peak: int, body: list[frozenset[str]], room: int) -> list[int]:
    """Return the places of the sentences to give: all, else those round the best that fit.

    What follows the best one goes first, since steps and values follow what they are of.
    """
    if sum(map(len, sentences)) <= room:
        return list(range(len(sentences)))
    chosen = {peak}
    left = room - len(sentences[peak])
    before = range(peak - 1, max(peak - 3, -1), -1)
    ranked = sorted(
        (n for n in range(len(sentences)) if body[n] and n != peak),
        key=lambda n: (-len(body[n]), n),
    )
    for n in (*ranked[:2], *range(peak + 1, len(sentences)), *before):
        if n in chosen:
            continue
        if len(sentences[n]) > left:
            if n in ranked[:2]:
                continue
            break
        chosen.add(n)
        left -= len(sentences[n])
    # What `this` is stands in the sentence before, room or not.
    chosen |= {n - 1 for n in chosen if n and _LEANS.match(sentences[n])}
    return sorted(chosen)


def _count(terms: Iterable[str], spread: Counter[str]) -> float:
    """Return what terms count; one that is in many places tells them apart less."""
    return sum(weight(term) / sqrt(spread[term] or 1) for term in sorted(terms))


def nearest(hit: Hit, asked: frozenset[str]) -> list[tuple[str, int]]:
    """Return a passage's sentences and their places, nearest to the question first."""
    found = [part for block in blocks(hit.passage.text) for part in (block.head, *block.sentences)]
    found = [part for part in found if part] or [" ".join(hit.passage.text.split())]
    own = [shared(asked, sentence) for sentence in found]
    spread = Counter(term for terms in own for term in terms)

    def nearness(place: int) -> float:
        whole = _WHOLE if found[place][-1:] in ".。!！?？" else 1.0
        return whole * _count(own[place], spread)

    order = sorted(range(len(found)), key=lambda place: (-nearness(place), place))
    return [(found[place], place) for place in order]
