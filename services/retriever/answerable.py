"""Whether what was found answers at all (pure).

The nearest page of the wrong manual is worse than none. What separates questions the manuals
answer from others is how much of the question the best passages hold, how much that tells, and
whether names in it - a product, a protocol, a signal - are anywhere near. The weights are those
of a logistic regression over questions long and short: of 46 manuals as asked, as keywords, with
abbreviations, with a place before them; of a word or two; the same with the answering manual taken
out; on what a product does not have, on other makers', on telephones and on history.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.retriever.ranking import Ranked

LOOKED_AT = 3
"""Passages that are looked at, the best."""
MUCH = 3.0
"""How many of the rarest words held say all that words can."""
THERE = 0.6
"""How surely a name must be held, by another name, to be there."""
UNHEARD = 0.32
"""What counts as meaning where the model does not speak the language: such questions would else
have to hold more words than others. Of general Chinese questions, 6 in 100 were refused over the
passages that answer them; over 46 manuals that do not, 1 in 100 is answered with it."""
BIAS = -4.9
COVERED, MEANING, BESIDE, TOLD, MISSING, NAMED, BRIEF = 2.8, 2.2, 2.9, 2.9, -2.3, 1.5, 1.1
BEYOND = -2.8
"""What counts against a question for people, prices or history: a manual may still have it."""
ELSEWHERE = -2.5
"""The same where the manual of another machine holds more of it: what the named one has not."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer; all from 0 to 1."""

    covered: float
    """Share of the question, but for what names the document, that one of the best holds."""
    meaning: float
    """How near the best passage's meaning is; `UNHEARD` where the model does not speak the
    language."""
    beside: float
    """Share of the question's pairs of words that stand together in one, or its only word."""
    told: float
    """How much the words tell that the best hold."""
    brief: float
    """The first, the less is asked: a question of a word or two tells little at its best."""
    missing: float
    """How much the names tell that they do not hold."""
    defines: bool
    """One defines a code that was surely asked for, is called as the message that is quoted, or
    holds the question word for word: that answers."""
    named: bool
    """The question names a document."""
    beyond: bool = False
    """It asks what no manual says."""
    elsewhere: float = 0.0
    """How much more of it a manual holds that is not meant."""

    @property
    def probability(self) -> float:
        """Return how likely the manuals answer the question, 0 to 1."""
        if self.defines:
            return 1.0
        sum_ = (
            BIAS
            + COVERED * self.covered
            + MEANING * self.meaning
            + BESIDE * self.beside
            + TOLD * self.told
            + BRIEF * self.brief
            + MISSING * self.missing
            + NAMED * self.named
            + BEYOND * self.beyond
            + ELSEWHERE * self.elsewhere
        )
        return 1 / (1 + math.exp(-sum_))


def evidence(
    ranked: Sequence[Ranked],
    weights: Mapping[str, float],
    alike: Collection[str],
    naming: Collection[str],
    *,
    rarest: float,
    meaning: bool,
    named: bool,
    defines: bool,
    beyond: bool = False,
    topic: bool = True,
    others: Sequence[Ranked] = (),
) -> Evidence:
    """Return what speaks for an answer.

    Args:
        ranked: what was found, best first.
        weights: what each word of the question tells.
        alike: those of them that look like names.
        naming: those of them that the best passages' documents go by.
        rarest: what a word tells that one passage alone has.
        meaning: whether the embedding model speaks the question's language.
        named: whether the question names a document.
        defines: whether one of the best defines a code that was surely asked for, is called as the
            message that is quoted, or holds the question word for word.
        beyond: whether it asks what no manual says.
        topic: whether a lone word may be what a passage is about; `help` is in many, and of none.
        others: the best of manuals that are not meant.
    """
    best = ranked[:LOOKED_AT]
    held: dict[str, float] = dict.fromkeys(naming, 1.0)
    for one in best:
        for word, part in one.held.items():
            held[word] = max(part, held.get(word, 0.0))
    told = sum(weights[word] * part for word, part in held.items() if word in weights)
    told *= topic
    missing = sum(
        weights[word] * max(0.0, 1 - held.get(word, 0.0) / THERE)
        for word in alike
        if word in weights
    )
    beside = max((one.beside for one in best), default=0.0)
    if len(weights) == 1:  # a lone word stands together with itself
        beside = max(held.get(word, 0.0) for word in weights) if topic else 0.0
    covered = max((_covered(one, weights, naming) for one in best), default=0.0)
    there = max((_covered(one, weights, naming, THERE) for one in best), default=0.0)
    much = MUCH * rarest
    return Evidence(
        covered=covered,
        meaning=(best[0].meaning if meaning else UNHEARD) if best else 0.0,
        beside=beside,
        told=min(1.0, told / much),
        brief=covered * (1 - min(1.0, sum(weights.values()) / much)) if topic else 0.0,
        missing=min(1.0, missing / rarest),
        defines=defines,
        named=named,
        beyond=beyond,
        elsewhere=max(
            [0.0, *(_covered(one, weights, naming, THERE) - there for one in others)],
        ),
    )


def _covered(
    one: Ranked, weights: Mapping[str, float], naming: Collection[str], there: float = 1.0
) -> float:
    """Return the share a passage holds of what is asked about the document that is named.

    A word that is held as surely as `there` is held: a manual in the other language has none in
    the very words of the question, and what it says is no less its own.
    """
    asked = {word: weight for word, weight in weights.items() if word not in naming}
    whole = sum(asked.values())
    if not whole:
        return one.covered if weights else 0.0
    held = {word: min(1.0, part / there) for word, part in one.held.items() if word in asked}
    return sum(asked[word] * part for word, part in held.items()) / whole
