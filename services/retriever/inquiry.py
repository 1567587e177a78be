"""A search taken apart: what it asks for, in which words, and what manuals have of its codes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from schemas.retrieval import Search
from services.retriever import question, spelling
from services.retriever.asked import codes_asked
from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.known import Known, look_up
from services.retriever.lexicon import Lexicon
from services.retriever.tokens import language, query_tokens, running_tokens

RARE = 1000
"""A name is looked for in the texts where no more passages have it."""
HOLDERS = 200
"""Documents that are looked at for having such a name."""
MISTYPED = 4
"""Words of a question that are put right at most."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A search taken apart."""

    search: Search
    """As it came."""
    codes: Sequence[Code]
    """Codes it asks for."""
    known: Known
    """What the manuals have of them."""
    words: question.Question
    """Its words."""
    run: Sequence[str]
    """Its tokens as they follow one another; empty where no passage can hold them so."""
    salient: frozenset[str]
    """Of its tokens, those that look like names, of the trade's own too."""
    named: Mapping[int, float]
    """How much it names each document."""
    meant: Sequence[int]
    """Documents it is surely about; none where it may be about any."""
    strange: bool
    """It names a maker that no document goes by or speaks of."""
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

    async def inquire(
        self, search: Search, scope: Collection[int] | None, *, only: bool = False
    ) -> Inquiry:
        """Return what a search asks for.

        Args:
            search: the question.
            scope: numbers of the revisions to look in; all that answer when None.
            only: the search is limited to them: nothing of others is told either.
        """
        corpus = self._corpus
        asked = search.question
        codes = codes_asked(search, corpus.names)
        words = query_tokens(f"{asked} {search.code}".strip())
        run = running_tokens(asked)
        expansions = self._lexicon.expand(asked)
        makers = [one for one in expansions if one.maker]
        messages = question.messages(asked)
        alike = question.name_like(asked, self._lexicon.is_term)
        alike |= {word for maker in makers for word in maker.words}
        said = (words, run, *messages, *(one.tokens for one in expansions))
        frequency = await corpus.frequency(list({token for some in said for token in some}))
        respelt = await self._respelt([w for w in words if w not in frequency], alike, frequency)
        others: list[question.Alternative] = [*expansions, *respelt]
        # What it was meant to be stands beside the other words; the likeliest comes first.
        meant_by = {one.words[0]: one.tokens[0] for one in reversed(respelt)}
        run = [meant_by.get(word, word) for word in run]
        spelt = _spelt(codes)
        called = {token for maker in makers for token in maker.tokens}
        naming = [word for word in dict.fromkeys([*words, *called]) if word not in spelt]
        texts = await self._holders([word for word in naming if word in alike], frequency)
        named = corpus.names.named(naming, texts)
        # Only what looks like a name, or is a maker's, says that no others are meant.
        # A title does: texts speak of other machines as well.
        about = corpus.names.named([w for w in naming if w in alike or w in called], {})
        meant = corpus.names.family(corpus.names.meant(about))
        if scope is not None:
            named = {number: weight for number, weight in named.items() if number in scope}
            meant &= set(scope)
        return Inquiry(
            search=search,
            codes=codes,
            known=await look_up(corpus, codes, meant or scope or (), only=only or bool(meant)),
            words=question.read(
                words,
                run,
                others,
                frequency,
                corpus.size,
                names=alike,
                codes=spelt if any(code.certain for code in codes) else (),
                messages=messages,
            ),
            run=run if len(run) > 1 and all(word in frequency for word in run) else (),
            salient=question.name_like(asked) | alike,
            named=named,
            meant=sorted(meant),
            strange=bool(makers)
            and not any(
                token in corpus.names or frequency.get(token)
                for maker in makers
                for token in (*maker.words, *maker.tokens)
            ),
            lang=search.lang or language(search.question),
        )

    async def _holders(
        self, alike: Sequence[str], frequency: Mapping[str, int]
    ) -> dict[str, list[int]]:
        """Return which documents have these names in their text."""
        return {
            word: await self._corpus.holders(word, HOLDERS)
            for word in alike
            if 0 < frequency.get(word, 0) <= RARE
        }

    async def _respelt(
        self, unknown: Sequence[str], alike: Collection[str], frequency: dict[str, int]
    ) -> list[question.Respelt]:
        """Return what words may have been meant to be that no passage has.

        In how many passages those are is put down in `frequency`.
        """
        found: list[question.Respelt] = []
        wrong = [w for w in unknown if spelling.correctable(w) and not self._lexicon.knows(w)]
        for word in wrong[:MISTYPED]:
            known = await self._corpus.frequency(spelling.slips(word))
            if word not in alike:
                known |= await self._corpus.beginning(spelling.beginnings(word))
            for term, weight in spelling.corrections(word, known):
                found.append(question.Respelt((word,), (term,), weight))
                frequency[term] = known[term]
        return found


def _spelt(codes: Sequence[Code]) -> set[str]:
    """Return the tokens that are codes, or parts of one: they are found by the code index."""
    spelt = {form.lower() for code in codes for form in (code.canonical, code.loose)}
    return spelt.union(*(query_tokens(code.raw) for code in codes if code.certain))
