"""A question as ranking needs it: its words, what each tells, and what else they are called (pure).

A word counts by how rare it is (BM25's inverse document frequency); one that is called something
else in the manuals counts as rare as that. A passage that has another name of a word holds the
word by the weight the lexicon gives the name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.retriever.others import Alternative, alone, fair, telling
from services.retriever.quantities import Quantity

POSTINGS = 8000
"""Passages the words searched for have in all: what a search costs, however many there are."""
MAX_WORDS = 24
"""Words searched for, the rarest first: a long question is no better with more."""
MAX_OTHERS = 10
"""Other names searched for, the surest first."""
OTHERS = 4000
"""Passages that other names searched for have in all."""
MOST_OTHERS = 24
"""Other names that are looked for in a passage that was found."""
APART = 0.7
"""Share of a name's weight where its words do not stand together."""
UNHEARD = 0.5
"""What a word counts that no passage has, and that is no name: it may be said otherwise."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another name for words of the question, ready to be looked for in a passage."""

    words: tuple[str, ...]
    """Those words."""
    needle: str
    """The name's tokens between spaces."""
    tokens: frozenset[str]
    """Each of them."""
    weight: float
    """How surely it means the same, up to 1."""
    beside: tuple[str, ...] = ()
    """Pairs of those words, as in `Question.pairs`: where it is said, they stand together."""


@dataclass(frozen=True, slots=True)
class Question:
    """The words of a question, ready to be looked for in passages."""

    weights: Mapping[str, float]
    """What each word tells, without codes."""
    needles: Mapping[str, str]
    """Each word between spaces."""
    others: Sequence[Other]
    """What else they are called, the surest first."""
    pairs: Mapping[str, float]
    """Words that follow one another in the question, between spaces, and what both tell."""
    paired: float
    """Sum of those."""
    phrases: Sequence[str]
    """Messages quoted in it, between spaces."""
    whole: float
    """Sum of the weights."""
    vocabulary: frozenset[str]
    """The words, and the tokens of the other names."""
    searched: Sequence[str]
    """What to search for: words, and names of several tokens with spaces between."""
    quantities: Sequence[Quantity] = ()
    """Numbers with their units: those words are held together, or not at all."""
    reports: bool = False
    """It reports what is wrong with a machine."""

    def there(self, text: str) -> frozenset[str]:
        """Return which of the vocabulary a text has.

        Args:
            text: tokens, with spaces between.
        """
        return self.vocabulary.intersection(text.split(" "))

    def said(self, there: frozenset[str]) -> list[Other]:
        """Return the other names whose words a text has, wherever they stand in it.

        Args:
            there: what the text has of the vocabulary.
        """
        return [other for other in self.others if other.tokens <= there] if there else []

    def held(
        self,
        text: str,
        there: frozenset[str] | None = None,
        said: Sequence[Other] | None = None,
    ) -> dict[str, float]:
        """Return which of the words a text holds, and how surely, up to 1.

        By another name as surely as that means the same, less where the name's words stand apart.

        Args:
            text: tokens, with a space before each and after the last.
            there: what it has of the vocabulary, where that is known.
            said: the other names in it, where they are known.
        """
        there = self.there(text) if there is None else there
        if not (there or self.quantities):
            return {}
        held = {word: 1.0 for word in self.weights if word in there}
        for other in self.said(there) if said is None else said:
            part = other.weight if other.needle in text else APART * other.weight
            for word in other.words:
                if held.get(word, 0.0) < part:
                    held[word] = part
        for one in self.quantities:
            part = one.share(text)
            for word in (one.number, one.unit):
                if part and word in self.weights:
                    held[word] = part
                else:
                    held.pop(word, None)
        return held

    def share(self, held: Mapping[str, float]) -> float:
        """Return the share of what the question tells that these words are, 0 to 1."""
        if not self.whole:
            return 0.0
        return min(1.0, sum([self.weights[w] * part for w, part in held.items()]) / self.whole)

    def quoted_in(self, text: str) -> bool:
        """Return whether a text has one of the quoted messages word for word."""
        return any(phrase in text for phrase in self.phrases)

    def beside(self, text: str, said: Sequence[Other] | None = None) -> float:
        """Return how surely the question's words stand together in a text, 0 to 1.

        Words that a text says by one other name stand together there by that name's weight.

        Args:
            text: tokens, with a space before each and after the last.
            said: the other names in it, where they are known; more do no harm.
        """
        if not self.paired:
            return 0.0
        together = {needle: 1.0 for needle in self.pairs if needle in text}
        for other in self.others if said is None else said:
            if other.beside and other.needle in text:
                for needle in other.beside:
                    together[needle] = max(other.weight, together.get(needle, 0.0))
        return sum([self.pairs[needle] * part for needle, part in together.items()]) / self.paired


def read(
    words: Sequence[str],
    run: Sequence[str],
    alternatives: Iterable[Alternative],
    frequency: Mapping[str, int],
    passages: int,
    *,
    names: Collection[str] = (),
    codes: Collection[str] = (),
    messages: Sequence[Sequence[str]] = (),
    faint: Mapping[str, float] | None = None,
    quantities: Sequence[Quantity] = (),
    machines: Collection[str] = (),
    reports: bool = False,
) -> Question:
    """Return the question as ranking needs it.

    Args:
        words: its tokens, each once.
        run: its tokens as they follow one another.
        alternatives: what else its words are called.
        frequency: in how many passages each token is; a missing one is in none.
        passages: passages in all.
        names: of the words, those that look like names.
        codes: of the words, spellings of codes: found by the code index, not weighed.
        messages: tokens of what it quotes, from `messages`.
        faint: of the words, those that tell less than their rarity does, and what share of it.
        quantities: numbers with their units in it.
        machines: of the words, those that only say what machine it is: half of a manual's passages
            may have them, so they are weighed but not searched for where there are others.
        reports: it reports what is wrong with a machine.
    """
    faint = faint or {}
    known = [
        alone(one, frequency)
        for one in alternatives
        if all(frequency.get(token, 0) for token in one.tokens)
    ]
    known = fair(telling(known), frequency)
    weighed = [word for word in words if word not in codes]
    common = {word: frequency.get(word, 0) for word in weighed}
    for one in known:
        rarest = min(frequency[token] for token in one.tokens)
        for word in one.words:
            if not frequency.get(word, 0) and word in common:
                common[word] = max(common[word], rarest)
    weights = {
        word: share
        * idf(count, passages)
        * (1.0 if count or word in names or (reports and word.isascii()) else UNHEARD)
        for word, count in common.items()
        if (share := faint.get(word, 1.0))
    }
    quoted = [message for message in messages if all(frequency.get(t, 0) for t in message)]
    pairs = {
        f" {a} {b} ": weights.get(a, 0.0) + weights.get(b, 0.0)
        for a, b in pairwise(run)
        if a in weights or b in weights
    }
    others = [
        Other(
            held,
            f" {' '.join(one.tokens)} ",
            frozenset(one.tokens),
            one.weight,
            tuple(n for a, b in pairwise(one.words) if (n := f" {a} {b} ") in pairs),
        )
        for one in known[:MOST_OTHERS]
        if (held := tuple(word for word in one.words if word in weights))
    ]
    return Question(
        weights=weights,
        needles={word: f" {word} " for word in weights},
        others=others,
        pairs=pairs,
        paired=sum(pairs.values()),
        phrases=[f" {' '.join(message)} " for message in quoted],
        whole=sum(weights.values()),
        vocabulary=frozenset(weights).union(*(other.tokens for other in others)),
        searched=[
            *(" ".join(message) for message in quoted),
            *(f"{one.number} {one.unit}" for one in quantities if frequency.get(one.unit, 0)),
            *_searched(
                [w for w in words if faint.get(w, 1.0)] or words, known, frequency, machines
            ),
        ],
        quantities=quantities,
        reports=reports,
    )


def _searched(
    words: Sequence[str],
    known: Sequence[Alternative],
    frequency: Mapping[str, int],
    machines: Collection[str],
) -> list[str]:
    """Return what to search for: the rarest words, as many as a search may cost."""
    if any(word not in machines and frequency.get(word, 0) for word in words):
        words = [word for word in words if word not in machines]
        known = [one for one in known if not all(word in machines for word in one.words)]
    left = POSTINGS
    chosen: list[str] = []
    for word in sorted((w for w in words if frequency.get(w, 0)), key=lambda w: frequency[w]):
        left -= frequency[word]
        if chosen and (left < 0 or len(chosen) == MAX_WORDS):
            break
        chosen.append(word)
    left = OTHERS
    others: list[str] = []
    for one in known:
        rarest = min(frequency[token] for token in one.tokens)
        if rarest <= left and len(others) < MAX_OTHERS:
            left -= rarest
            others.append(" ".join(one.tokens))
    return list(dict.fromkeys([*chosen, *others]))


def idf(count: int, passages: int) -> float:
    """Return what a word tells that so many of the passages have: BM25's inverse frequency."""
    count = min(count, passages)
    return math.log(1 + (passages - count + 0.5) / (count + 0.5))
