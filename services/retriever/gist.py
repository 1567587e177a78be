"""What the words of a search tell: that it reports a fault, which only ask, and how much (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.retriever import idle, mentions, symptoms
from services.retriever.codes import Code
from services.retriever.terms import Expansion
from services.retriever.words import Words

SEAM = 0.2
"""What a pair of Chinese characters counts that only stands where two words meet."""
ASKING = 0.5
"""What a word counts that only asks, such as `often` of `how often`."""
WHEN = 0.4
"""What a word counts that says when a fault comes, and not what it is."""
PLACE = 0.25
"""What a word counts that says where in the plant, and no more."""
MACHINE = 0.4
"""What a word counts that is the machine as a whole."""
BRIEF = 2
"""Words beside what a machine is called, at most, where that only says whose they are."""
REPORT = 6
"""The same where what is wrong is reported: a few Chinese characters are as many words."""


@dataclass(frozen=True, slots=True)
class Gist:
    """What the words of a search tell."""

    words: Words
    """All of them."""
    reports: bool
    """It reports what is wrong with a machine."""
    asks: frozenset[str]
    """Words that do not say what is asked."""
    machines: frozenset[str]
    """Words that say what machine it is, where little more is asked."""
    when: frozenset[str]
    """Words that say when the fault comes that is reported, or what else was seen."""

    def faint(self, about: Collection[str]) -> dict[str, float]:
        """Return the words that tell less than their rarity does, and what share of it.

        Args:
            about: names that all of the manual that is meant is about.
        """
        words = self.words
        return (
            dict.fromkeys(words.seams, SEAM)
            | dict.fromkeys(self.when, WHEN)
            | dict.fromkeys(self.machines, MACHINE)
            | dict.fromkeys(self.asks, ASKING)
            | dict.fromkeys((words.place - words.alike).union(about), PLACE)
            | dict.fromkeys(words.aside, 0.0)
        )

    def symptom(self, weights: Mapping[str, float]) -> frozenset[str]:
        """Return the words that a passage should be called by which answers.

        What is wrong where that is reported; else what a machine has, or the command of which
        more is asked, where little more is said.

        Args:
            weights: what each word tells.
        """
        core = frozenset(weights).difference(self.machines, self.asks, self.words.seams)
        if self.reports:
            return core - self.words.alike
        brief = (self.machines or self.asks) and len(core) <= BRIEF
        return core if brief else frozenset()

    def readings(
        self, weights: Mapping[str, float], codes: Collection[str]
    ) -> list[Mapping[str, float]]:
        """Return what the words tell, and the same without those that do not say what is asked.

        Args:
            weights: what each word tells.
            codes: of the words, those of codes that are asked for: those are looked up.
        """
        every = {
            word: weight / MACHINE if word in self.machines else weight
            for word, weight in weights.items()
            if word not in codes
        }
        beside = self.machines | self.asks | self.words.seams
        core = {word: weight for word, weight in every.items() if word not in beside}
        return [every, core] if core and len(core) < len(every) else [every]


def gist_of(words: Words, codes: Sequence[Code]) -> Gist:
    """Return what the words of a search tell.

    Args:
        words: what it says.
        codes: the codes it asks for.
    """
    reports = not codes and symptoms.reported(" ".join([words.asked, *words.meant_by.values()]))
    known_name = any(word in words.frequency for word in words.alike)
    asks = _asks(words.asked, known_name=known_name, reports=reports)
    # Codes and names tell what is asked; beside a name, the machine's kind does not tell what is
    # wrong with it.
    others = {*words.each} - asks - words.seams - words.alike
    others = others if reports or not (codes or words.alike) else set()
    machines = _machines(words.asked, others, words.expansions, REPORT if reports else BRIEF)
    when = symptoms.circumstances(words.asked) - words.alike if reports else frozenset()
    return Gist(words, reports, asks, machines, when)


def _asks(asked: str, *, known_name: bool, reports: bool) -> frozenset[str]:
    """Return the words of a question that do not say what is asked.

    Args:
        asked: the question.
        known_name: it has a name that passages have; a command is one.
        reports: it reports what is wrong.
    """
    asks = mentions.asking(asked)
    if known_name:
        asks |= idle.of_commands(asked)
    return asks | idle.joining(asked) if reports else asks


def _machines(
    asked: str, words: Collection[str], terms: Sequence[Expansion], most: int
) -> frozenset[str]:
    """Return the words that say what machine it is, where little more is asked.

    Args:
        asked: the question.
        words: its words that may say what is asked.
        terms: what else they are called.
        most: how many others are little.
    """
    machines = idle.machines(asked, [(one.start, one.end) for one in terms])
    return machines if words and len({*words} - machines) <= most else frozenset()
