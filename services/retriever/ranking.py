"""Which passages answer, and how well (pure): fusion, relevance, near-duplicates.

Codes, words and vectors each bring candidates. What puts them in order is a weighted sum of what
can be seen of each: the code it defines, the share of the question it holds, how often and how
near together, whether its heading says it, whether the question names its document, and how it
stood among the words and the meanings. Passages that define a code that is surely asked for stand
above all others, whatever those hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from services.retriever.question import Other, Question

By = Literal["code", "words", "vector"]

K = 20.0
"""Softens the difference between the first ranks (reciprocal-rank fusion: Cormack, Clarke,
Buettcher 2009; 60 there, for lists of a thousand)."""
# Chosen by measurement: questions on 46 manuals, a telephone's manual, and 200 of a Chinese
# reading set, by coordinate ascent; flat around these values.
COVER, OFTEN, HEADING, BESIDE = 6.0, 0.3, 0.3, 0.7
"""Share of the question it holds, the same by BM25's saturation, in its section, in its order."""
WORDS, VECTOR = 1.0, 0.15
"""Its rank among the words, and among the vectors."""
CALLED = 0.5
"""It is called what is asked for: share of the question in its name, and of its name in that."""
SYMPTOM = 1.5
"""It is called what a machine has: share of that in its name."""
LATER = 0.4
"""It is the second of several that differ by their number, and none is asked for."""
PHRASE = 1.5
"""It has a message of the question word for word."""
NAMED = 1.0
"""The question names its document."""
MEANT = 2.5
"""It is about its document: `G120` is, whatever titles have the other words of the question."""
STRUCTURED = 0.3
"""It is a row or an entry."""
SAME_LANGUAGE = 0.35
"""It is in the language asked for."""
STRENGTH_SCORE = {3: 8.0, 2: 1.5, 1: 0.5}
"""What a code hit adds, by its strength (defines, leads a line, mentioned)."""
UNCERTAIN = 0.25
"""Share of it that is left where the question may mean something else."""
LABEL = 0.5
"""What a word counts that stands in the names of its fields alone: each parameter has its
`Factory setting: 0`, and one restores them all."""
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
K1, B, USUAL = 1.2, 0.75, 80
"""BM25's saturation and length normalisation, and the length taken as usual, tokens."""
SAME = 0.85
"""Passages that share so much of their words are one."""


class Candidate(Protocol):
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

    @property
    def head(self) -> str:
        """Tokens of title and section, joined by spaces."""

    @property
    def section(self) -> str:
        """Tokens of the section alone."""

    @property
    def body(self) -> str:
        """Tokens of the text, joined by spaces."""

    @property
    def name(self) -> str:
        """Tokens of what it is called, joined by spaces."""

    def labels(self) -> Sequence[str]:
        """Tokens of the names of its fields, each as often as it is among them."""


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
        symptom: of its words, those of what a machine has, where it asks for no more.
    """
    cosine = dict(vector_hits)
    word_rank = {label: place for place, (label, _) in enumerate(word_hits)}
    vector_rank = {label: place for place, (label, _) in enumerate(vector_hits)}
    code_weight = CODE_WEIGHT * max(question.weights.values(), default=1.0)
    whole = question.whole + code_weight * codes_asked
    # Many candidates are of one section, and have one name or none.
    headings: dict[str, float] = {}
    names: dict[str, float] = {}
    placed: list[Ranked] = []
    for label, candidate in candidates.items():
        body = f" {candidate.body} "
        text = f" {candidate.head}{body}"
        there = question.there(text)
        said = question.said(there)
        inside = question.held(text, there, said)
        _count_labels_less(inside, candidate.labels(), text)
        told = sum([question.weights[word] * part for word, part in inside.items()])
        share = min(1.0, told / question.whole) if question.whole else 0.0
        order = COVER * share + OFTEN * often(question, body, there, said)
        heading = headings.get(candidate.section)
        if heading is None:
            heading = question.share(question.held(f" {candidate.section} "))
            headings[candidate.section] = heading
        name = names.get(candidate.name)
        if name is None:
            name = names[candidate.name] = _by_name(question, candidate.name, symptom)
        beside = question.beside(body, said)
        order += HEADING * heading + BESIDE * beside + name
        order += PHRASE * (bool(question.phrases) and question.quoted_in(body))
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
        order += NAMED * named.get(candidate.document, 0.0) + MEANT * (candidate.document in meant)
        order += STRUCTURED * (candidate.kind != "text")
        order += SAME_LANGUAGE * (label in in_language)
        meaning = _between(cosine.get(label, 0.0), *MEANING)
        score = max(covered, meaning, SURE if defines else 0.0)
        by: By = "code" if strength >= 2 else ("words" if covered >= meaning else "vector")
        placed.append(
            Ranked(
                label,
                order,
                inside,
                min(1.0, covered),
                meaning,
                beside,
                defines,
                min(1.0, score),
                by,
            )
        )
    placed.sort(key=lambda one: (not one.defines, -one.order, one.id))
    return placed


def _count_labels_less(held: dict[str, float], labels: Sequence[str], text: str) -> None:
    """Let words count less that a passage has in the names of its fields alone."""
    for word in held.keys() & set(labels):
        if text.count(f" {word} ") <= labels.count(word):
            held[word] *= LABEL


def _by_name(question: Question, name: str, symptom: Collection[str]) -> float:
    own = CALLED * called(question, name) - LATER * is_later(question, name)
    return own + SYMPTOM * _said_in(question, name, symptom) if symptom else own


def _said_in(question: Question, name: str, words: Collection[str]) -> float:
    """Return the share of some words of a question that a passage's name says, 0 to 1."""
    whole = sum(question.weights[word] for word in words)
    held = question.held(f" {name} ")
    told = sum(question.weights[word] * held.get(word, 0.0) for word in words)
    return told / whole if whole else 0.0


def called(question: Question, name: str) -> float:
    """Return how well a passage's name is what is asked for, 0 to 1.

    Args:
        question: its words.
        name: tokens of what the passage is called.
    """
    words = name.split()
    if not words:
        return 0.0
    text = f" {name} "
    there = question.there(text)
    said = question.said(there)
    held = question.held(text, there, said)
    meant = set(held)
    for other in said:
        if other.needle in text:
            meant |= other.tokens
    precise = sum(word in meant for word in words) / len(words)
    return precise * min(1.0, 2 * question.share(held))


def is_later(question: Question, name: str) -> bool:
    """Return whether a passage's name ends with a number over 1 that is not asked for.

    Who asks for the acceleration time means the first, not `Acceleration time 3`.

    Args:
        question: its words.
        name: tokens of what the passage is called.
    """
    last = name.rpartition(" ")[2]
    return len(last) == 1 and last in "23456789" and last not in question.needles


def often(
    question: Question,
    body: str,
    there: frozenset[str] | None = None,
    said: Sequence[Other] | None = None,
) -> float:
    """Return BM25's score of a text against the question's best, 0 to 1.

    Args:
        question: its words.
        body: tokens of the text, with a space before each and after the last.
        there: what it has of the question's vocabulary, where that is known; more does no harm.
        said: the other names in it, where they are known; more do no harm.
    """
    if not question.whole:
        return 0.0
    there = question.there(body) if there is None else there
    words = body.split(" ")  # what stands twice side by side counts twice
    counts: dict[str, float] = {
        word: words.count(word) for word in question.needles if word in there
    }
    for other in question.said(there) if said is None else said:
        if not all(map(counts.get, other.words)):
            times = other.weight * body.count(other.needle)
            for word in other.words:
                counts[word] = max(counts.get(word, 0), times)
    length = body.count(" ") - 1
    damped = K1 * (1 - B + B * length / USUAL)
    score = sum(
        [
            weight * n / (n + damped)
            for word, weight in question.weights.items()
            if (n := counts.get(word))
        ]
    )
    return score / question.whole


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
