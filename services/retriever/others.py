"""Other names of a question's words: which of them are looked for, and how surely (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

TOGETHER = 6
"""Other names of one word that are looked for before those of the next."""
ALONE = 1.6
"""Times as sure is another name of words that no passage has: a synonym as another spelling."""


class Alternative(Protocol):
    """Another way to say some words of the question; see `lexicon.Expansion`."""

    @property
    def words(self) -> tuple[str, ...]:
        """Those words as tokens."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """What may stand in their place; several follow one another."""

    @property
    def weight(self) -> float:
        """How surely it means the same, up to 1."""


@dataclass(frozen=True, slots=True)
class Respelt:
    """What a mistyped word may have been meant to be."""

    words: tuple[str, ...]
    """The word."""
    tokens: tuple[str, ...]
    """What some passage has."""
    weight: float
    """How likely, up to 1."""


def telling(known: Sequence[Alternative]) -> list[Alternative]:
    """Return other names without those that only add to another, or to the words themselves.

    What has `undervoltage fault` has `undervoltage`.
    """
    shortest: dict[tuple[str, ...], list[tuple[str, float]]] = {}
    kept: list[Alternative] = []
    for one in sorted(known, key=lambda one: len(one.tokens)):
        there = shortest.setdefault(one.words, [(f" {' '.join(one.words)} ", 1.0)])
        name = f" {' '.join(one.tokens)} "
        if not any(part in name and weight >= one.weight for part, weight in there):
            there.append((name, one.weight))
            kept.append(one)
    return kept


def fair(known: list[Alternative], frequency: Mapping[str, int]) -> list[Alternative]:
    """Return other names, each word's surest before any word's next: a word may have dozens."""
    known.sort(key=lambda one: (-one.weight, min(frequency[t] for t in one.tokens)))
    seen: Counter[tuple[str, ...]] = Counter()
    places: list[int] = []
    for one in known:
        places.append(seen[one.words] // TOGETHER)
        seen[one.words] += 1
    order = sorted(range(len(known)), key=lambda n: (places[n], n))
    return [known[n] for n in order]


def alone(one: Alternative, frequency: Mapping[str, int]) -> Alternative:
    """Return another name, surer where no passage has the words themselves: it rivals nothing."""
    if any(frequency.get(word, 0) for word in one.words):
        return one
    return Respelt(one.words, one.tokens, max(one.weight, min(1.0, ALONE * one.weight)))
