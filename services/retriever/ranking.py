"""Which passages answer, and how well (pure): fusion, relevance, near-duplicates.

Codes, words and vectors each bring candidates. What puts them in order is a weighted sum of what
each holds of the question, see judging.py, of the code it defines, of whether the question names
its document, and of how it stood among the words and the meanings. Passages that define a code that
is surely asked for stand above all others, whatever those hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from services.retriever.judging import Judge, Readable
from services.retriever.question import Question

By = Literal["code", "words", "vector"]

K = 20.0
"""Softens the difference between the first ranks (reciprocal-rank fusion: Cormack, Clarke,
Buettcher 2009; 60 there, for lists of a thousand)."""
# Chosen by measurement: questions on 46 manuals, a telephone's manual, and 200 of a Chinese
# reading set, by coordinate ascent; flat around these values.
WORDS, VECTOR = 1.0, 0.15
"""Its rank among the words, and among the vectors."""
NAMED = 1.0
"""The question names its document."""
MEANT = 2.5
"""It is about its document: `G120` is, whatever titles have the other words of the question."""
REPORTED = 7.0
"""The same where what is wrong is reported: another machine's remedy helps nobody."""
STRUCTURED = 0.3
"""It is a row or an entry."""
SAME_LANGUAGE = 0.35
"""It is in the language asked for."""
FAULT_LANGUAGE = 2.5
"""It is so besides, and the entry of a fault that is reported: of entries in either language the
reader's own is meant, by whichever name."""
STRENGTH_SCORE = {3: 8.0, 2: 1.5, 1: 0.5}
"""What a code hit adds, by its strength (defines, leads a line, mentioned)."""
UNCERTAIN = 0.25
"""Share of it that is left where the question may mean something else."""
LOOSE = 0.8
"""Share of it that a code found by its forgiving form alone keeps."""
KIND = 2.0
"""It lists errors where the code is said to be an error's."""
EXPLAINS = 1.5
"""It explains the code: a row that does not may be of an overview, or of an index."""
LISTED = 0.4
"""It explains the code in a row: a list of faults says causes and remedies one by one, where the
chapter beside it tells them."""
CODE_WEIGHT = 3.0
"""What a code counts among a question's words, in multiples of the rarest word."""
MEANING = (0.25, 0.75)
"""Cosines of the bundled model that say nothing, and that say the same."""
SURE = 0.9
"""Relevance of a passage that defines an asked code."""
SAME = 0.85
"""Passages that share so much of their words are one."""


class Candidate(Readable, Protocol):
    """What ranking needs of a passage."""

    @property
    def id(self) -> int:
        """Number of the passage."""

    @property
    def document(self) -> int:
        """Number of its revision."""

    @property
    def kind(self) -> str:
        """`row`, `entry` or `text`."""


class CodeHit(Protocol):
    """A passage that has an asked code; see `known.Match`."""

    @property
    def strength(self) -> int:
        """3 defines it, 2 begins a line with it, 1 mentions it."""

    @property
    def exact(self) -> bool:
        """Found by the canonical form."""

    @property
    def certain(self) -> bool:
        """The question surely asks for it."""


class Ranked(msgspec.Struct, frozen=True, gc=False):
    """A passage in its place."""

    id: int
    """Number of the passage."""
    order: float
    """What it is sorted by, among those that define or those that do not."""
    held: Mapping[str, float]
    """Which of the question's words it holds, and how surely."""
    covered: float
    """Share of the question it holds, codes included, 0 to 1."""
    meaning: float
    """How near its meaning is, 0 to 1."""
    beside: float
    """Share of the question's pairs of words that stand together in it."""
    defines: bool
    """It defines a code that is surely asked for."""
    score: float
    """Relevance, 0 to 1."""
    by: By
    """What put it there."""


def rank(
    candidates: Mapping[int, Candidate],
    question: Question,
    *,
    codes_asked: int,
    code_hits: Mapping[int, CodeHit],
    word_hits: Sequence[tuple[int, float]],
    vector_hits: Sequence[tuple[int, float]],
    named: Mapping[int, float],
    meant: Collection[int] = (),
    quoted: Collection[int] = (),
    in_language: Collection[int] = (),
    of_kind: Collection[int] = (),
    explaining: Collection[int] = (),
    judge: Judge | None = None,
    symptom: Collection[str] = (),
) -> list[Ranked]:
    """Return the candidates, best first.

    Args:
        candidates: passages by number; hits that are not among them are left out.
        question: its words.
        codes_asked: how many codes the question has; those known count as one.
        code_hits: passages with an asked code.
        word_hits: passages and BM25 score, best first.
        vector_hits: passages and cosine, best first.
        named: documents the question names, 0 to 1.
        meant: documents it is surely about, by a product's or a maker's name.
        quoted: passages that hold the question word for word: relevant whatever its words weigh.
        in_language: passages in the language asked for.
        of_kind: passages that list what the code is said to be, alarms or errors.
        explaining: passages that say more of a code than its name and its values.
        judge: of this question, where some of them were looked at before.
        symptom: of its words, those of what a machine has, where it asks for no more.
    """
    cosine = dict(vector_hits)
    word_rank = {label: place for place, (label, _) in enumerate(word_hits)}
    vector_rank = {label: place for place, (label, _) in enumerate(vector_hits)}
    code_weight = CODE_WEIGHT * max(question.weights.values(), default=1.0)
    whole = question.whole + code_weight * codes_asked
    judged = (judge or Judge(question, symptom)).judge(candidates)
    placed: list[Ranked] = []
    for label, candidate in candidates.items():
        seen = judged[label]
        told, order = seen.told, seen.order
        strength, defines = 0, False
        if hit := code_hits.get(label):
            strength = hit.strength
            defines = hit.certain and strength == max(STRENGTH_SCORE)
            told += code_weight * (1.0 if hit.certain else UNCERTAIN)
            sure = (1.0 if hit.exact else LOOSE) * (1.0 if hit.certain else UNCERTAIN)
            order += STRENGTH_SCORE[strength] * sure + KIND * (label in of_kind)
            if defines and label in explaining:
                order += EXPLAINS + LISTED * (candidate.kind == "row")
        covered = 1.0 if label in quoted else told / whole if whole else 0.0
        if label in word_rank:
            order += WORDS * K / (K + word_rank[label])
        if label in vector_rank:
            order += VECTOR * K / (K + vector_rank[label])
        order += NAMED * named.get(candidate.document, 0.0)
        order += (REPORTED if question.reports else MEANT) * (candidate.document in meant)
        order += STRUCTURED * (candidate.kind != "text")
        order += (SAME_LANGUAGE + FAULT_LANGUAGE * min(1.0, 2 * seen.fault)) * (
            label in in_language
        )
        meaning = _between(cosine.get(label, 0.0), *MEANING)
        score = max(covered, meaning, SURE if defines else 0.0)
        by: By = "code" if strength >= 2 else ("words" if covered >= meaning else "vector")
        placed.append(
            Ranked(
                label,
                order,
                seen.held,
                min(1.0, covered),
                meaning,
                seen.beside,
                defines,
                min(1.0, score),
                by,
            )
        )
    placed.sort(key=lambda one: (not one.defines, -one.order, one.id))
    return placed


def each_first(ranked: Sequence[Ranked], places: Mapping[int, int]) -> list[Ranked]:
    """Return the passages with the best of each code that is asked for in front, in that order.

    Args:
        ranked: passages, best first.
        places: by passage, which of the codes it has, counted from 0.
    """
    best: dict[int, Ranked] = {}
    for one in ranked:
        if one.defines and one.id in places:
            best.setdefault(places[one.id], one)
    if len(best) < 2:  # it is in order already
        return [*ranked]
    front = [best[place] for place in sorted(best)]
    chosen = {one.id for one in front}
    return [*front, *(one for one in ranked if one.id not in chosen)]


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
