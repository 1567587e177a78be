"""A search taken apart: what it asks for, in which words, and what manuals have of its codes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from schemas.retrieval import Search
from services.retriever import mentions, question, spelling
from services.retriever.asked import codes_asked
from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.known import Known, look_up
from services.retriever.lexicon import Lexicon
from services.retriever.others import Alternative, Respelt
from services.retriever.quantities import quantities
from services.retriever.seams import seams
from services.retriever.setting import setting
from services.retriever.terms import Expansion
from services.retriever.tokens import language, query_tokens, running_tokens, tokens

RARE = 1000
"""A name is looked for in the texts where no more passages have it."""
HOLDERS = 200
"""Documents that are looked at for having such a name."""
SEAM = 0.2
"""What a pair of Chinese characters counts that only stands where two words meet."""
ASKING = 0.5
"""What a word counts that only asks, such as `often` of `how often`."""
PLACE = 0.25
"""What a word counts that says where in the plant, and no more."""
MISTYPED = 4
"""Words of a question that are put right at most."""


_PRODUCT = re.compile(r"(?!ERR|ALM)[A-Z]{3,}\d")
"""What looks like a code and is rather a product's name: `SERVO57D`."""


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
    spoken: Mapping[str, Collection[int]]
    """Documents that have such a name in their text."""
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
        place = setting(asked, search.asset)
        # What a machine reports as its code is one, whatever the machine is called.
        reported = set(tokens(search.code))
        tags = {w for w in place.tags if w not in corpus.names and w not in reported}
        codes = [
            code
            for code in codes_asked(search, corpus.names)
            if not (tags and tags.issuperset(tokens(code.raw)))
        ]
        amounts = quantities(asked)
        glued = {f"{one.number}{one.unit}" for one in amounts}
        words = query_tokens(f"{asked} {search.code}".strip())
        words = [word for word in words if word not in glued]
        run = running_tokens(asked)
        expansions = [
            one
            for one in self._lexicon.expand(asked)
            if not (one.maker and place.beside.issuperset(one.words))
        ]
        makers = _makers(expansions)
        messages = mentions.messages(asked)
        own = {word for maker in makers for word in maker[0]}
        salient = mentions.name_like(asked) | own
        idle = tags | (place.beside & salient)
        salient -= idle | {one.unit for one in amounts}
        # The trade's own names are no product's.
        alike = salient & (mentions.name_like(asked, self._lexicon.is_term) | own)
        faint = dict.fromkeys(seams(asked, {(one.start, one.end) for one in expansions}), SEAM)
        faint |= dict.fromkeys(mentions.asking(asked), ASKING)
        faint |= dict.fromkeys(place.place - alike, PLACE) | dict.fromkeys(idle, 0.0)
        said = (words, run, *messages, *(one.tokens for one in expansions))
        frequency = await corpus.frequency(list({token for some in said for token in some}))
        words = _needed(words, run, frequency) or words
        respelt = await self._respelt([w for w in words if w not in frequency], alike, frequency)
        others: list[Alternative] = [*expansions, *respelt]
        # What it was meant to be stands beside the other words; the likeliest comes first.
        meant_by = {one.words[0]: one.tokens[0] for one in reversed(respelt)}
        run = [meant_by.get(word, word) for word in run]
        spellings = {code: _spellings(code) for code in codes}
        products = {code for code in codes if _PRODUCT.match(code.canonical)}
        spelt = {form for code in codes if code not in products for form in spellings[code]}
        lone = {name[0] for maker in makers for name in maker if len(name) == 1}
        naming = [word for word in words if word not in spelt and word not in lone | idle]
        looked_for = [word for word in dict.fromkeys([*naming, *lone]) if word in alike | lone]
        texts = await self._holders(looked_for, frequency)
        named = corpus.names.named(naming, texts, makers)
        # Only what looks like a name, or is a maker's, says that no others are meant.
        # A title does: texts speak of other machines as well.
        about = corpus.names.named([word for word in naming if word in alike], {}, makers)
        meant = corpus.names.family(corpus.names.meant(about))
        if scope is not None:
            named = {number: weight for number, weight in named.items() if number in scope}
            meant &= set(scope)
        known = await look_up(corpus, codes, meant or scope or (), only=only or bool(meant))
        told = [code for code in codes if code.certain and (code.asked or code in known.told)]
        return Inquiry(
            search=search,
            codes=codes,
            known=known,
            words=question.read(
                words,
                run,
                others,
                frequency,
                corpus.size,
                names=alike,
                codes={form for code in told for form in spellings[code]},
                messages=messages,
                faint=faint,
                quantities=amounts,
            ),
            run=run if len(run) > 1 and all(word in frequency for word in run) else (),
            salient=salient,
            spoken=texts,
            named=named,
            meant=sorted(meant),
            strange=bool(makers)
            and not any(
                token in corpus.names or frequency.get(token)
                for maker in makers
                for name in maker
                for token in name
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
    ) -> list[Respelt]:
        """Return what words may have been meant to be that no passage has.

        In how many passages those are is put down in `frequency`.
        """
        found: list[Respelt] = []
        wrong = [w for w in unknown if spelling.correctable(w) and not self._lexicon.knows(w)]
        for word in wrong[:MISTYPED]:
            known = await self._corpus.frequency(spelling.slips(word))
            if word not in alike:
                known |= await self._corpus.beginning(spelling.beginnings(word))
            for term, weight in spelling.corrections(word, known):
                found.append(Respelt((word,), (term,), weight))
                frequency[term] = known[term]
        return found


def _makers(expansions: Sequence[Expansion]) -> list[list[tuple[str, ...]]]:
    """Return the names of each maker or product of the question, the question's own first."""
    makers: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for one in expansions:
        if one.maker:
            makers.setdefault(one.words, {one.words: None})[one.tokens] = None
    return [list(names) for names in makers.values()]


def _needed(words: Sequence[str], run: Collection[str], frequency: Mapping[str, int]) -> list[str]:
    """Return the words without other spellings of them that tell nothing more.

    A guess that no passage has, and the parts of a name that passages have as a whole.
    """
    whole = [word for word in run if word in frequency]
    return [
        word
        for word in words
        if word in run
        or (word in frequency and not any(word in one and word != one for one in whole))
    ]


def _spellings(code: Code) -> set[str]:
    """Return the tokens that are a code, or parts of it: it is found by the code index."""
    forms = {code.canonical.lower(), code.loose.lower()}
    return forms.union(query_tokens(code.raw)) if code.certain else forms
