"""What a passage by itself holds of a question (pure), whatever brought it and how it stood there.

The share of the question, how often and how near together, whether its heading or its name says it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from services.retriever.question import Other, Question
from services.retriever.symptoms import of_a_fault

# Chosen by measurement, together with the weights in ranking.py.
COVER, OFTEN, HEADING, BESIDE = 6.0, 0.3, 0.3, 0.7
"""Share of the question it holds, the same by BM25's saturation, in its section, in its order."""
CALLED = 0.5
"""It is called what is asked for: share of the question in its name, and of its name in that."""
SYMPTOM = 1.5
"""It is called what a machine has: share of that in its name."""
FAULT = 2.0
"""It says of a fault what is to be done, where one is reported: share of that in its name."""
IN_TEXT = 0.5
"""Share of it where only its text has that."""
PLAIN = 1.5
"""Its name says little but what is wrong: of several faults, the plainest is meant."""
LATER = 0.4
"""It is the second of several that differ by their number, and none is asked for."""
PHRASE = 1.5
"""It has a message of the question word for word."""
LABEL = 0.5
"""What a word counts that stands in the names of its fields alone: each parameter has its
`Factory setting: 0`, and one restores them all."""
K1, B, USUAL = 1.2, 0.75, 80
"""BM25's saturation and length normalisation, and the length taken as usual, tokens."""


class Readable(Protocol):
    """What is read of a passage."""

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


class Judged(msgspec.Struct, frozen=True, gc=False):
    """What a passage holds of a question."""

    held: Mapping[str, float]
    """Which of its words, and how surely."""
    told: float
    """What those tell."""
    beside: float
    """Share of its pairs of words that stand together."""
    fault: float
    """How well it is the fault's entry that is reported, 0 to 1."""
    order: float
    """What all of that adds to the passage's place."""


class Judge:
    """Looks at passages for one question, at each once: the first may come before the others."""

    def __init__(self, question: Question, symptom: Collection[str] = ()) -> None:
        """Prepare.

        Args:
            question: its words.
            symptom: of its words, those of what a machine has, where it asks for no more.
        """
        self._question = question
        self._symptom = symptom
        # Many passages are of one section, and have one name or none.
        self._headings: dict[str, float] = {}
        self._names: dict[str, tuple[float, float]] = {}
        self._judged: dict[int, Judged] = {}

    def judge(self, passages: Mapping[int, Readable]) -> Mapping[int, Judged]:
        """Return what these passages hold, by number; of those judged before as well."""
        for label, passage in passages.items():
            if label not in self._judged:
                self._judged[label] = self._judge(passage)
        return self._judged

    def _judge(self, passage: Readable) -> Judged:
        question = self._question
        words = passage.body.split(" ")
        body = f" {passage.body} "
        text = f" {passage.head}{body}"
        there = question.vocabulary.intersection(words) | question.there(passage.head)
        said = question.said(there)
        held = question.held(text, there, said)
        labels = passage.labels() if held else ()
        _count_labels_less(held, labels, text)
        told = sum([question.weights[word] * part for word, part in held.items()])
        share = min(1.0, told / question.whole) if question.whole else 0.0
        beside = question.beside(body, said)
        order = COVER * share + OFTEN * often(question, body, words, there, said)
        order += HEADING * self._heading(passage.section) + BESIDE * beside
        fault = 0.0
        by_name, by_symptom = self._by_name(passage.name)
        order += by_name
        if question.reports and self._symptom and held:
            sure = of_a_fault(labels, passage.section)
            fault = self._by_fault(sure, passage.name, held)
            order += FAULT * fault + PLAIN * sure * self._plain(passage.name)
            # A parameter, or a line of technical data, is by the same name and no fault.
            by_symptom *= not labels or sure > 0
        order += by_symptom
        order += PHRASE * (bool(question.phrases) and question.quoted_in(body))
        return Judged(held, told, beside, fault, order)

    def _by_fault(self, fault: float, name: str, held: Mapping[str, float]) -> float:
        """Return how well a passage is the fault's that is reported, 0 to 1.

        Args:
            fault: how surely it is any fault's.
            name: tokens of what it is called.
            held: which words it holds.
        """
        if not fault:
            return 0.0
        return fault * max(
            self._share_of_symptom(self._question.held(f" {name} ")),
            IN_TEXT * self._share_of_symptom(held),
        )

    def _share_of_symptom(self, held: Mapping[str, float]) -> float:
        """Return the share of what a machine has that these words are, 0 to 1."""
        weights = self._question.weights
        whole = sum(weights[word] for word in self._symptom)
        told = sum(weights[word] * held.get(word, 0.0) for word in self._symptom)
        return told / whole if whole else 0.0

    def _heading(self, section: str) -> float:
        share = self._headings.get(section)
        if share is None:
            question = self._question
            share = self._headings[section] = question.share(question.held(f" {section} "))
        return share

    def _plain(self, name: str) -> float:
        """Return the share of a fault's name that is what is wrong, 0 to 1."""
        said = self._share_of_symptom(self._question.held(f" {name} "))
        return said * precise(self._question, name) if said else 0.0

    def _by_name(self, name: str) -> tuple[float, float]:
        """Return what a passage's name adds, and what it does by saying what a machine has."""
        by_name = self._names.get(name)
        if by_name is None:
            question = self._question
            by_symptom = 0.0
            if self._symptom:
                by_symptom = SYMPTOM * self._share_of_symptom(question.held(f" {name} "))
            by_name = (
                CALLED * called(question, name) - LATER * is_later(question, name),
                by_symptom,
            )
            self._names[name] = by_name
        return by_name


def _count_labels_less(held: dict[str, float], labels: Sequence[str], text: str) -> None:
    """Let words count less that a passage has in the names of its fields alone."""
    for word in held.keys() & set(labels):
        if text.count(f" {word} ") <= labels.count(word):
            held[word] *= LABEL


def called(question: Question, name: str) -> float:
    """Return how well a passage's name is what is asked for, 0 to 1.

    Args:
        question: its words.
        name: tokens of what the passage is called.
    """
    held = question.held(f" {name} ")
    return precise(question, name) * min(1.0, 2 * question.share(held)) if held else 0.0


def precise(question: Question, name: str) -> float:
    """Return the share of a name that is of the question, 0 to 1.

    Args:
        question: its words.
        name: tokens of what the passage is called.
    """
    text = f" {name} "
    there = question.there(text)
    said = question.said(there)
    meant = set(question.held(text, there, said))
    for other in said:
        if other.needle in text:
            meant |= other.tokens
    words = name.split()
    return sum([word in meant for word in words]) / len(words) if words else 0.0


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
    words: Sequence[str] | None = None,
    there: frozenset[str] | None = None,
    said: Sequence[Other] | None = None,
) -> float:
    """Return BM25's score of a text against the question's best, 0 to 1.

    Args:
        question: its words.
        body: tokens of the text, with a space before each and after the last.
        words: those tokens, where they were parted already.
        there: what it has of the question's vocabulary, where that is known; more does no harm.
        said: the other names in it, where they are known; more do no harm.
    """
    if not question.whole:
        return 0.0
    words = body[1:-1].split(" ") if words is None else words
    there = question.vocabulary.intersection(words) if there is None else there
    if not there:
        return 0.0
    # Counted among the tokens: what stands twice side by side counts twice.
    counts: dict[str, float] = {
        word: words.count(word) for word in question.weights if word in there
    }
    for other in question.said(there) if said is None else said:
        if not all(map(counts.get, other.words)):
            times = other.weight * body.count(other.needle)
            for word in other.words:
                counts[word] = max(counts.get(word, 0), times)
    damped = K1 * (1 - B + B * len(words) / USUAL)
    score = sum(
        [
            weight * n / (n + damped)
            for word, weight in question.weights.items()
            if (n := counts.get(word))
        ]
    )
    return score / question.whole
