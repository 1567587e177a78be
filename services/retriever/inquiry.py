"""A search taken apart: what it asks for, in which words, and what manuals have of its codes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from schemas.retrieval import Search
from services.retriever import idle, question
from services.retriever.asked import codes_asked, spelt
from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.gist import gist_of
from services.retriever.known import Known, look_up, of_stranger
from services.retriever.lexicon import Lexicon
from services.retriever.righting import righted
from services.retriever.setting import setting
from services.retriever.subject import Subject, Subjects
from services.retriever.tokens import language, tokens
from services.retriever.words import Words, words_of


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A search taken apart."""

    search: Search
    """As it came, with its abbreviations and names as manuals have them."""
    codes: Sequence[Code]
    """Codes it asks for."""
    known: Known
    """What the manuals have of them."""
    subject: Subject
    """Whom it is about."""
    words: question.Question
    """Its words."""
    run: Sequence[str]
    """Its tokens as they follow one another; empty where no passage can hold them so."""
    salient: frozenset[str]
    """Of its tokens, those that look like names, of the trade's own too."""
    readings: Sequence[Mapping[str, float]]
    """What its words tell: all of them, and without those that do not say what is asked."""
    trade: frozenset[str]
    """Of its tokens, those that are of the trade's words."""
    symptom: frozenset[str]
    """Of its tokens, those of what a machine has, where it says little more."""
    beyond: bool
    """It asks what no manual says."""
    interval: bool
    """It asks how often something is to be done."""
    lang: str
    """`en`, `zh`, or empty."""


class Inquirer:
    """Takes searches apart, with a corpus and a list of the trade's words at hand."""

    def __init__(self, corpus: Corpus, lexicon: Lexicon) -> None:
        """Prepare.

        Args:
            corpus: what is asked.
            lexicon: what else words are called.
        """
        self._corpus = corpus
        self._lexicon = lexicon
        self._subjects = Subjects(corpus, lexicon)

    async def inquire(
        self,
        search: Search,
        scope: Collection[int] | None,
        *,
        only: bool = False,
        own: Collection[int] = (),
    ) -> Inquiry:
        """Return what a search asks for.

        Args:
            search: the question.
            scope: numbers of the revisions to look in; all that answer when None.
            only: the search is limited to them: nothing of others is told either.
            own: numbers of the revisions that are the asset's, wherever is looked.
        """
        search = self._spelt(search)
        asked = await righted(search.question, self._corpus, self._lexicon)
        search = msgspec.structs.replace(search, question=asked)
        place = setting(search.question, search.asset)
        tags = self._tags(place.tags, search.code)
        codes = codes_asked(search, self._corpus.names)
        codes = [code for code in codes if not tags.issuperset(tokens(code.raw))]
        words = await words_of(search, place, tags, self._corpus, self._lexicon)
        gist = gist_of(words, codes)
        subject = await self._subjects.of(words, codes, gist, scope)
        first = subject.meant or scope or ()
        known = await look_up(
            self._corpus,
            codes,
            first,
            only=only or bool(subject.meant),
            own=subject.meant or own,
        )
        told = [code for code in codes if code.certain and (code.asked or code in known.told)]
        if told and not subject.meant and not search.code:
            foreign = subject.foreign if scope is None else ""
            stranger = foreign or self._subjects.stranger(words, told[0])
            await of_stranger(self._corpus, known, stranger)
        about = self._subjects.common(words, subject.meant) if gist.reports else set()
        read = question.read(
            words.each,
            words.run_right,
            [*words.expansions, *words.respelt],
            words.frequency,
            self._corpus.size,
            names=words.alike,
            codes=spelt(told),
            messages=words.messages,
            faint=gist.faint(about),
            quantities=words.amounts,
            machines=gist.machines | about,
            reports=gist.reports,
        )
        coded = {token for code in told for token in tokens(code.raw)}
        return Inquiry(
            search=search,
            codes=codes,
            known=known,
            subject=subject,
            words=read,
            run=_quotable(words, coded),
            salient=words.salient,
            readings=gist.readings(read.weights, coded),
            trade=frozenset(token for one in words.expansions for token in one.words),
            symptom=gist.symptom(read.weights),
            beyond=idle.beyond(search.question),
            interval=idle.how_often(search.question),
            lang=search.lang or language(search.question),
        )

    def _spelt(self, search: Search) -> Search:
        """Return a search with its abbreviations and names as manuals have them."""
        asked = idle.unpointed(search.question, self._lexicon.spelt_out)
        return msgspec.structs.replace(search, question=self._corpus.names.joined(asked))

    def _tags(self, there: Collection[str], reported: str) -> set[str]:
        """Return numbers of machines of the plant; what a machine reports as its code is none."""
        codes = set(tokens(reported))
        return {word for word in there if word not in self._corpus.names and word not in codes}


def _quotable(words: Words, codes: Collection[str]) -> list[str]:
    """Return the tokens as they follow one another, none where no passage can hold them so.

    Args:
        words: what the search says.
        codes: of its tokens, those of codes: what has `fault 3` quotes nothing.
    """
    run = words.run_right
    whole = len(run) > 1 and {*run}.difference(codes) and all(w in words.frequency for w in run)
    return run if whole else []
