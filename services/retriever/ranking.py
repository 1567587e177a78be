"""Which passages answer, and how well (pure): fusion, relevance, near-duplicates.

Codes, words and vectors each bring candidates in their own order. Ranks are fused, not scores,
since the scores do not compare (reciprocal-rank fusion: Cormack, Clarke, Buettcher 2009). A
passage that defines the asked code stands above all others.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

By = Literal["code", "words", "vector"]

K = 20.0
"""Softens the difference between the first ranks. 60 in the paper, for lists of a thousand."""
WORDS, VECTOR, COVER = 0.5, 0.25, 2.0
"""Weights of BM25, vectors, and the share of the question's words a passage holds: measured over
101 questions on 46 manuals, 10,900 passages; flat around these values."""
CODE_WEIGHT = 3.0
"""What a code counts among a question's words, in multiples of the rarest word."""
STRENGTH_SCORE = {3: 3.0, 2: 0.6, 1: 0.25}
"""What a code hit adds, by its strength (defines, leads a line, mentioned)."""
LOOSE = 0.8
"""Share of it that a code found by its forgiving form alone keeps."""
MEANING = (0.25, 0.75)
"""Cosines of the bundled model that say nothing, and that say the same."""
SURE = 0.9
"""Relevance of a passage that defines an asked code."""
SAME_LANGUAGE = 0.15
"""What the asked language adds: more than a few places among the words, less than a word more."""
SAME = 0.85
"""Passages that share so much of their words are one."""
COMMON = 0.25
"""A word in a larger share of the passages is not searched for."""
MAX_WORDS = 24
"""Words searched for, the rarest first: a long question is no better with more."""


class Candidate(Protocol):
    """What ranking needs of a passage."""

    @property
    def id(self) -> int:
        """Number of the passage."""

    @property
    def head(self) -> str:
        """Tokens of title and section, joined by spaces."""

    @property
    def body(self) -> str:
        """Tokens of the text, joined by spaces."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage in its place."""

    id: int
    """Number of the passage."""
    score: float
    """Relevance, 0 to 1."""
    by: By
    """What put it there."""


def weigh(words: Sequence[str], frequency: Mapping[str, int], passages: int) -> dict[str, float]:
    """Return what each word tells: BM25's inverse document frequency.

    Args:
        words: the question's tokens.
        frequency: in how many passages each is; a missing one is in none.
        passages: passages in all.
    """
    return {
        word: math.log(1 + (passages - n + 0.5) / (n + 0.5))
        for word in words
        for n in (min(frequency.get(word, 0), passages),)
    }


def worth_searching(words: Sequence[str], frequency: Mapping[str, int], passages: int) -> list[str]:
    """Return the words to search for, rarest first; those in no passage find nothing."""
    there = sorted((w for w in words if frequency.get(w, 0)), key=lambda w: frequency[w])
    rare = [w for w in there if frequency[w] <= max(COMMON * passages, 50)]
    return (rare or there)[:MAX_WORDS]


@dataclass(frozen=True, slots=True)
class CodeHit:
    """A passage that has an asked code."""

    strength: int
    """3 defines it, 2 begins a line with it, 1 mentions it."""
    exact: bool
    """Found by the canonical form."""


def rank(
    candidates: Mapping[int, Candidate],
    *,
    weights: Mapping[str, float],
    codes_asked: int,
    code_hits: Mapping[int, CodeHit],
    word_hits: Sequence[tuple[int, float]],
    vector_hits: Sequence[tuple[int, float]],
    quoted: Collection[int] = (),
    in_language: Collection[int] = (),
) -> list[Ranked]:
    """Return the candidates, best first.

    Args:
        candidates: passages by number; hits that are not among them are left out.
        weights: what each word of the question tells, from `weigh`; without codes.
        codes_asked: how many codes the question has; those known count as one.
        code_hits: passages with an asked code.
        word_hits: passages and BM25 score, best first.
        vector_hits: passages and cosine, best first.
        quoted: passages that hold the question word for word: relevant whatever its words weigh.
        in_language: passages in the language asked for.
    """
    cosine = dict(vector_hits)
    word_rank = {label: place for place, (label, _) in enumerate(word_hits)}
    vector_rank = {label: place for place, (label, _) in enumerate(vector_hits)}
    code_weight = CODE_WEIGHT * max(weights.values(), default=1.0)
    whole = sum(weights.values()) + code_weight * codes_asked
    placed: list[tuple[float, Ranked]] = []
    for label, candidate in candidates.items():
        held = {*candidate.head.split(" "), *candidate.body.split(" ")}
        covered = sum(weight for word, weight in weights.items() if word in held)
        order = 0.0
        strength = 0
        if hit := code_hits.get(label):
            strength = hit.strength
            covered += code_weight
            order = STRENGTH_SCORE[strength] * (1.0 if hit.exact else LOOSE)
        covered = 1.0 if label in quoted else covered / whole if whole else 0.0
        order += COVER * covered
        if label in word_rank:
            order += WORDS * K / (K + word_rank[label])
        if label in vector_rank:
            order += VECTOR * K / (K + vector_rank[label])
        if label in in_language:
            order += SAME_LANGUAGE
        meaning = _between(cosine.get(label, 0.0), *MEANING)
        score = max(covered, meaning, SURE if strength == 3 else 0.0)
        by: By = "code" if strength >= 2 else ("words" if covered >= meaning else "vector")
        placed.append((order, Ranked(label, min(1.0, score), by)))
    placed.sort(key=lambda pair: (-pair[0], pair[1].id))
    return [ranked for _, ranked in placed]


def distinct(
    ranked: Sequence[Ranked], candidates: Mapping[int, Candidate], limit: int
) -> list[Ranked]:
    """Return the first of each group of passages that say the same, `limit` at most, in order."""
    kept: list[tuple[Ranked, frozenset[str]]] = []
    for one in ranked:
        if len(kept) == limit:
            break
        words = frozenset(candidates[one.id].body.split(" "))
        if not any(_same(words, other) for _, other in kept):
            kept.append((one, words))
    return [one for one, _ in kept]


def _same(a: frozenset[str], b: frozenset[str]) -> bool:
    shared = len(a & b)
    return shared >= SAME * (len(a) + len(b) - shared)


def _between(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
