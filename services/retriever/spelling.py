"""What a mistyped word of a question may have been meant to be (pure).

A word that no passage has is compared with words that some passage has: those one slip away, for
longer words two, and those it is cut off from, as in `mech` for `mechanical`. A slip is a letter
too many, one missing, a wrong one, or two in the wrong order (Damerau 1964: nine typing errors in
ten are one such slip).

The caller looks up what can be meant, in two questions to its index however many words are wrong:

    found = frequencies of `slips(word)`, and of the terms that begin with `beginnings(word)`
    corrections(word, found)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from services.retriever.tokens import stem

ONE, CUT, TWO = 0.8, 0.8, 0.6
"""Weights of a word one slip away, of the whole word, and of one two slips away."""
SHORTEST = 4
"""Letters of a word that may be cut off, or have two neighbours in the wrong order."""
SHORTEST_ONE = 5
"""Letters of a word that may have any slip: nearly all shorter ones are one slip apart. Those may
have lost or doubled a letter, where one word alone is that near."""
ALONE = 10
"""Times as many passages as any other near it has the one word that a short one can be."""
SHORTEST_TWO = 8
"""Letters of a word that may have two slips."""
LEAST = 3
"""Letters of a stem that may be meant."""
LONGEST = 24
"""Letters of a word that may be mistyped: each letter makes 53 others as long as the word."""
BEGINNING = 3
"""Letters at the beginning of a long word that are right, or have but one slip."""
BEST = 3
"""Corrections of a word at most."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[a-z]+\Z")


def correctable(word: str) -> bool:
    """Return whether a word can be mistyped: no code, no short abbreviation, no Chinese."""
    return SHORTEST <= len(word) <= LONGEST and _WORD.match(word.lower()) is not None


def slips(word: str) -> list[str]:
    """Return the terms of an index that the word is one slip away from; empty for a code.

    Terms are stems: `overheatnig` is one slip from `overheating`, whose term is `overheat`.
    """
    return list(_one_slip(word.lower())) if correctable(word) else []


def beginnings(word: str) -> list[str]:
    """Return how those terms begin that the word may be cut off from, or two slips away from."""
    if not correctable(word):
        return []
    lower = word.lower()
    if len(lower) < SHORTEST_TWO:
        return [lower]
    return list(dict.fromkeys([lower[:BEGINNING], *_swapped(lower[:BEGINNING])]))


def corrections(word: str, vocabulary: Mapping[str, int]) -> list[tuple[str, float]]:
    """Return what the word may have been meant to be, likeliest first, and how surely.

    Nothing where the word is right: where the vocabulary has it.

    Args:
        word: as written in the question.
        vocabulary: terms and in how many passages each is, among them those of `slips` and
            `beginnings`; more do no harm.

    Returns:
        Terms and weights, up to `ONE`: less for the rarer among those that fit.
    """
    if not correctable(word):
        return []
    lower = word.lower()
    right = stem(lower)
    if right in vocabulary or lower in vocabulary:
        return []
    near = {term: ONE for term in _one_slip(lower) if term in vocabulary}
    if len(lower) < SHORTEST_ONE:
        near = _only(near, vocabulary)
    near |= {
        term: CUT
        for term in vocabulary
        if len(term) > len(lower) + 1 and term.startswith(lower) and _WORD.match(term)
    }
    if not near and len(lower) >= SHORTEST_TWO:
        near = {
            term: TWO
            for term in vocabulary
            if _WORD.match(term) and min(distance(form, term, 2) for form in {lower, right}) <= 2
        }
    most = max((vocabulary[term] for term in near), default=1)
    weighed = {
        # The first letter is seldom wrong (Yannakoudakis and Fawthrop 1983).
        term: weight
        * (0.5 + 0.5 * vocabulary[term] / max(most, 1))
        * (1.0 if term[0] == lower[0] else 0.5)
        for term, weight in near.items()
    }
    best = sorted(weighed.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(term, round(weight, 3)) for term, weight in best[:BEST]]


def _only(near: Mapping[str, float], vocabulary: Mapping[str, int]) -> dict[str, float]:
    """Return the one word that a short one can be; none where it can be several."""
    most = max((vocabulary[term] for term in near), default=0)
    best = {term: weight for term, weight in near.items() if vocabulary[term] * ALONE > most}
    return best if len(best) == 1 else {}


def distance(a: str, b: str, most: int) -> int:
    """Return the slips between two words, `most` + 1 where there are more.

    Optimal string alignment: no letter slips twice.
    """
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        above, row = row, [i]
        for j, other in enumerate(b, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before = above
    return min(row[-1], most + 1)


def as_written(word: str, term: str) -> str:
    """Return the word that is one slip away and has this stem, the stem where none is."""
    return _one_slip(word.lower()).get(term, term) if correctable(word) else term


@lru_cache(maxsize=4)
def _one_slip(word: str) -> dict[str, str]:
    """Return the stems of all that is one slip away, the word's own not among them.

    Each with a word that has it.
    """
    short = len(word) < SHORTEST_ONE
    spelt = dict.fromkeys(_swapped(word))
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        if tail and not (short and head[-1:] != tail[0]):
            spelt[head + tail[1:]] = None
        for letter in _LETTERS:
            spelt[head + letter + tail] = None
            if tail and not short:
                spelt[head + letter + tail[1:]] = None
    whole = {other: stem(other) for other in spelt if short or len(other) >= SHORTEST}
    # `fored` is no word that `ford` may be.
    terms: dict[str, str] = {}
    for other, term in whole.items():
        if len(term) >= LEAST and (not short or len(term) >= min(len(other), len(word))):
            terms.setdefault(term, other)
    terms.pop(stem(word), None)
    return terms


def _swapped(word: str) -> Iterator[str]:
    """Yield the word with two neighbours in the other order."""
    for i in range(len(word) - 1):
        yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]
