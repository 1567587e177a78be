"""Whether what was found answers the question at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from services.retriever import answerable, idle, question
from services.retriever.corpus import Corpus
from services.retriever.holdings import Found
from services.retriever.inquiry import Inquiry
from services.retriever.meaning import Meaning
from services.retriever.ranking import Ranked
from services.retriever.tokens import tells


class Verdict:
    """Tells whether a corpus answers questions."""

    def __init__(self, corpus: Corpus, meaning: Meaning, sure: float) -> None:
        """Prepare.

        Args:
            corpus: what is asked.
            meaning: the search by meaning, which knows some languages.
            sure: how likely the manuals must answer for anything to be found, 0 to 1.
        """
        self._corpus = corpus
        self._meaning = meaning
        self._sure = sure

    def answers(
        self,
        asked: Inquiry,
        ranked: Sequence[Ranked],
        found: Mapping[int, Found],
        quoted: Collection[int],
    ) -> bool:
        """Return whether what was found answers the question.

        Args:
            asked: the question.
            ranked: what was found, best first.
            found: the same by number.
            quoted: passages that hold the question word for word.
        """
        # What the manual of another machine holds is no answer about the one that is named.
        own, subject = self._corpus.names, asked.subject
        meant = frozenset(subject.meant)
        named = {word for word in asked.salient if word in own} if meant else set()
        mine: list[Ranked] = []
        others: list[Ranked] = []
        for one in ranked:
            of_it = not meant or found[one.id].document in meant or named & one.held.keys()
            (mine if of_it else others).append(one)
        best = mine[: answerable.LOOKED_AT]
        documents = {found[one.id].document for one in best}
        # What another maker means by a code is no answer.
        by_code = not subject.strange and any(
            one.id in quoted or asked.known.leads(one.id) or defines(asked, one, found[one.id])
            for one in ranked[: answerable.LOOKED_AT]
        )
        spoken = {word for word, there in subject.spoken.items() if documents & set(there)}
        goes_by = frozenset().union(*map(own.of, documents))
        # Who invented the inverter is another question than who invented.
        readings = asked.readings[:1] if asked.beyond else asked.readings
        return any(
            answerable.evidence(
                best,
                weights,
                asked.salient - spoken,
                (asked.salient & goes_by) | subject.makers_of(documents, goes_by),
                rarest=question.idf(1, self._corpus.size),
                meaning=self._meaning.speaks(asked.lang),
                named=bool(subject.meant),
                beyond=asked.beyond or _untold_interval(asked, best, found),
                topic=len(weights) != 1 or self._is_topic(asked, next(iter(weights)), best, found),
                defines=by_code,
                others=others[: answerable.LOOKED_AT],
            ).probability
            >= self._sure
            for weights in readings
        )

    def _is_topic(
        self,
        asked: Inquiry,
        word: str,
        best: Sequence[Ranked],
        found: Mapping[int, Found],
    ) -> bool:
        """Return whether a lone word is of the trade, a name, or in a heading of what is found."""
        if word in asked.trade or word in asked.salient or word in self._corpus.names:
            return True
        if not tells(word):
            return False
        needle = f" {word} "
        return any(
            needle in f" {found[one.id].section} {found[one.id].name} "
            for one in best
            if one.held.get(word)
        )


def defines(asked: Inquiry, one: Ranked, found: Found) -> bool:
    """Return whether a passage defines a code that is surely asked for, or a message."""
    return one.defines or asked.words.quoted_in(f" {found.name} ")


def _untold_interval(asked: Inquiry, best: Sequence[Ranked], found: Mapping[int, Found]) -> bool:
    """Return whether a question asks how often, and no passage about its subject tells."""
    if not asked.interval:
        return False
    core = asked.readings[-1]
    subject = max(core, key=core.__getitem__, default="")
    return not any(
        subject in one.held and idle.tells_interval(found[one.id].passage.text) for one in best
    )
