"""Whom a search is about: makers, products and kinds of machines, and the documents of those."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.retriever import strangers
from services.retriever.asked import spelt
from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.gist import Gist
from services.retriever.lexicon import Lexicon
from services.retriever.tokens import tokens
from services.retriever.whose import makers_of, products, together, whose
from services.retriever.words import Name, Words

RARE = 1000
"""A name is looked for in the texts where no more passages have it."""
HOLDERS = 200
"""Documents that are looked at for having such a name."""
SURELY_KIN = 0.5
"""Weight from which on another name of a machine means the same kind."""
MOST_KIN = 8000
"""Passages that may have a name by which documents are found to be about such a machine."""
TOO_SHORT = 4
"""Letters of a name that may be one slip from any word."""
_PRODUCT = re.compile(r"(?!ERR|ALM)[A-Z]{3,}\d")
"""What looks like a code and is rather a product's name: `SERVO57D`."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a search is about."""

    makers: Sequence[Sequence[Name]]
    """The names of each maker or product in it, its own first."""
    spoken: Mapping[str, Collection[int]]
    """Documents that have such a name in their text."""
    named: Mapping[int, float]
    """How much it names each document."""
    meant: Sequence[int]
    """Documents it is surely about; none where it may be about any."""
    kin: frozenset[int]
    """Documents about the kind of machine it speaks of."""
    foreign: str
    """The maker it names beside its code that none of the documents is of; empty for none."""
    strange: bool
    """It names a maker that no document goes by or speaks of."""

    def makers_of(self, documents: Collection[int], goes_by: Collection[str]) -> frozenset[str]:
        """Return the words that name the maker of some documents, by whichever of its names.

        Args:
            documents: numbers of their revisions.
            goes_by: tokens that they go by.
        """
        return frozenset(
            word
            for names in self.makers
            if any(
                all(token in goes_by for token in name)
                or (len(name) == 1 and not {*documents}.isdisjoint(self.spoken.get(name[0], ())))
                for name in names
            )
            for word in names[0]
        )


class Subjects:
    """Tells whom searches are about, with a corpus and a list of the trade's words at hand."""

    def __init__(self, corpus: Corpus, lexicon: Lexicon) -> None:
        """Prepare.

        Args:
            corpus: what is asked.
            lexicon: what else words are called.
        """
        self._corpus = corpus
        self._lexicon = lexicon

    async def of(
        self,
        words: Words,
        codes: Sequence[Code],
        gist: Gist,
        scope: Collection[int] | None,
    ) -> Subject:
        """Return whom a search is about.

        Args:
            words: what it says.
            codes: the codes it asks for.
            gist: what its words tell.
            scope: numbers of the revisions to look in; all that answer when None.
        """
        no_names = spelt([code for code in codes if not _PRODUCT.match(code.canonical)])
        lone = {name[0] for maker in words.makers for name in maker if len(name) == 1}
        naming = [w for w in words.each if w not in no_names and w not in lone | words.aside]
        among = {*naming, *lone} & (words.alike | lone)
        texts = await self._holders(among, words.frequency)
        named, meant = self._named(naming, words, texts)
        kin = await self._kin(words, gist.machines)
        theirs, foreign = await self._own(words, codes, {*naming} & words.alike)
        if scope is not None:
            inside = {*scope}
            named = {number: weight for number, weight in named.items() if number in inside}
            meant, theirs, kin = meant & inside, theirs & inside, kin & inside
        return Subject(
            makers=words.makers,
            spoken=texts,
            named=named,
            meant=sorted(theirs or meant),
            kin=kin,
            foreign=foreign,
            strange=self._strange(words, codes),
        )

    def common(self, words: Words, meant: Collection[int]) -> set[str]:
        """Return the names that all of a manual is about: they tell none of its passages apart.

        Args:
            words: what the search says.
            meant: the documents that are surely meant.
        """
        if not meant:
            return set()
        there = frozenset().union(*map(self._corpus.names.of, meant))
        return {word for word in words.alike if word in there}.union(words.makers_own)

    def stranger(self, words: Words, code: Code) -> str:
        """Return the maker or product beside a code that nobody has; empty for none."""
        name = strangers.beside(words.asked, code.start, code.end)
        said = {word for word in tokens(name) if not word.isdigit()}
        heard = {word for one in words.respelt for word in one.words if len(word) > TOO_SHORT}
        names = self._corpus.names
        there = any(w in words.frequency or w in heard or w in names for w in said)
        strange = said and not there and not any(map(self._lexicon.knows, name.split()))
        return name if strange else ""

    def _named(
        self, naming: Sequence[str], words: Words, texts: Mapping[str, Collection[int]]
    ) -> tuple[dict[int, float], set[int]]:
        """Return how much a question names each document, and which it is surely about."""
        names = self._corpus.names
        # Only what looks like a name, or is a maker's, says that no others are meant.
        # A title does: texts speak of other machines as well.
        surely = names.named([word for word in naming if word in words.alike], {}, words.makers)
        return names.named(naming, texts, words.makers), names.family(names.meant(surely))

    async def _own(
        self, words: Words, codes: Sequence[Code], names: Collection[str]
    ) -> tuple[set[int], str]:
        """Return whose code a question surely asks for, see `whose.whose`; nothing for none.

        `names` are those of its words that look like names.
        """
        place = next((code.start for code in codes if code.certain and code.asked), None)
        if place is None:
            return set(), ""
        makers = makers_of(words.asked, words.expansions, self._lexicon, words.frequency)
        beside = [one for one in makers if together(words.asked, one.start, place)]
        each = [*words.each, *(word for one in words.respelt for word in one.tokens)]
        each = [word for word in each if word not in words.aside]
        typed = await products(self._corpus, self._lexicon, each)
        return await whose(self._corpus, beside, {*names, *typed})

    async def _kin(self, words: Words, machines: frozenset[str]) -> frozenset[int]:
        """Return the documents about machines of the kind that a question speaks of."""
        terms = [one for one in words.expansions if machines and machines.issuperset(one.words)]
        names = {one.words for one in terms}
        names |= {one.tokens for one in terms if one.weight >= SURELY_KIN}
        kin: frozenset[int] = frozenset()
        for name in names:
            if all(0 < words.frequency.get(token, 0) <= MOST_KIN for token in name):
                kin |= await self._corpus.about(" ".join(name))
        return frozenset(self._corpus.names.family(kin))

    async def _holders(
        self, names: Collection[str], frequency: Mapping[str, int]
    ) -> dict[str, list[int]]:
        """Return which documents have these names in their text."""
        return {
            word: await self._corpus.holders(word, HOLDERS)
            for word in names
            if 0 < frequency.get(word, 0) <= RARE
        }

    def _strange(self, words: Words, codes: Sequence[Code]) -> bool:
        if not words.makers or any(code.certain and code.asked for code in codes):
            return False
        return not any(
            token in self._corpus.names or words.frequency.get(token)
            for maker in words.makers
            for name in maker
            for token in name
        )
