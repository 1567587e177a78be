"""Where words are and what each counts there, kept for as long as nothing changes (pure).

BM25's score of a passage is the sum of those of the words asked for, so each word's are worked
out by the word index once, and a search only adds them up. What is kept is bounded, and is given
up whole when it is full: whatever is asked for again comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from services.retriever.bm25 import Lengths

KEPT = 8_000_000
"""Bytes of passages of words that are kept."""
EACH = 384
"""Bytes of a word whose passages are kept, besides 8 for each passage and 1 for each letter:
measured 80 where no passage has it, 350 where one does."""
COMPARED = 4000
"""Passages of revisions whose vectors are kept: 1.5 kB each with the bundled model."""
COUNTED = 20_000
"""Words whose number of passages is kept, and as many again that no passage has: 0.2 kB each."""
HELD = 2000
"""Words whose revisions are kept: up to 200 revisions each, 1.7 kB."""
LONGEST = 64
"""Letters of a word of which that is kept; longer ones are asked for again."""

Numbers = NDArray[np.int32]
Posting = tuple[Numbers, NDArray[np.float32]]
"""Passages, and what a word counts in each."""
Sums = tuple[Numbers, NDArray[np.float64]]
"""Passages, and what all the words of a question count in each."""
NONE: Posting = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)


@dataclass(slots=True)
class Postings:
    """What was asked of the word index since what answers last changed."""

    lists: dict[str, Posting] = field(default_factory=dict)
    """Passages of a word, or of words that follow one another, and what it counts in each."""
    counts: dict[str, int] = field(default_factory=dict)
    """In how many passages a word is."""
    nowhere: set[str] = field(default_factory=set)
    """Words that no passage has."""
    holders: dict[str, list[int]] = field(default_factory=dict)
    """Revisions that have a word in them."""
    lengths: Lengths | None = None
    """Tokens of each passage that answers, once they were read; see `Lookups.measure`."""
    speaking: dict[str, dict[int, tuple[int, int, int]]] = field(default_factory=dict)
    """By the words for something, the revisions that speak of it: in how many passages, and the
    ordinals of the first and the last."""
    members: dict[int, Numbers] = field(default_factory=dict)
    """Passages of a revision: 4 bytes each."""
    vectors: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = field(default_factory=dict)
    """Labels [n] and vectors [n, dimension] of revisions that were compared one by one."""
    last: tuple[Sequence[str], Sums] | None = None
    """The words that were searched for last, and their sums: a question looks in all documents and
    then in those it names."""
    kept: int = 0
    """Bytes of `lists`, about."""

    def keep(self, word: str, one: Posting) -> None:
        """Take what the index says of a word."""
        size = EACH + 8 * len(one[0]) + len(word)
        if word in self.lists or size > KEPT:
            return
        if self.kept + size > KEPT:
            self.lists.clear()
            self.kept = 0
        self.lists[word] = one
        self.kept += size

    def hold(self, word: str, revisions: list[int]) -> None:
        """Take the revisions that have a word in them."""
        if len(self.holders) >= HELD:
            self.holders.clear()
        self.holders[word] = revisions

    def compare(self, number: int, labels: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Take the labels [n] and vectors [n, dimension] of a revision."""
        if sum(len(one) for one, _ in self.vectors.values()) + len(labels) > COMPARED:
            self.vectors.clear()
        self.vectors[number] = labels, vectors

    def count(self, asked: Iterable[str], found: Mapping[str, int]) -> None:
        """Take in how many passages words are; those that were not found are in none."""
        found = {word: count for word, count in found.items() if len(word) <= LONGEST}
        if len(self.counts) + len(found) > COUNTED:
            self.counts.clear()
        self.counts.update(found)
        missing = {word for word in asked if word not in found and len(word) <= LONGEST}
        if len(self.nowhere) + len(missing) > COUNTED:
            self.nowhere.clear()
        self.nowhere |= missing


def added(lists: Sequence[Posting]) -> Sums:
    """Return the passages that have any of some words, ascending, and what those count together.

    Args:
        lists: passages and scores of each word.
    """
    numbers = np.concatenate([NONE[0], *(numbers for numbers, _ in lists)])
    scores = np.concatenate([NONE[1], *(scores for _, scores in lists)])
    # Each list is in order by itself, which a stable sort makes use of; `np.unique` does not.
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    first = np.ones(len(numbers), dtype=bool)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    sums = np.bincount(np.cumsum(first) - 1, weights=scores[order])
    return numbers[first], sums.astype(np.float64, copy=False)


def best(sums: Sums, limit: int, inside: Numbers | None = None) -> list[tuple[int, float]]:
    """Return the passages with the highest sums of scores, highest first.

    Args:
        sums: from `added`.
        limit: how many at most.
        inside: numbers of the passages that may be found; all when None.
    """
    found, scores = sums
    if inside is not None:
        among = np.isin(found, inside)
        found, scores = found[among], scores[among]
    if len(scores) > limit:
        kept = scores >= np.partition(scores, -limit)[-limit]
        found, scores = found[kept], scores[kept]
    order = np.argsort(-scores, kind="stable")[:limit]
    return list(zip(found[order].tolist(), scores[order].tolist(), strict=True))
