"""Whose codes a question asks for: those of the maker or the product that it names.

Another maker means something else by the same number. So where a code is asked for, a product is
known by its name in small letters too, and a maker by what the manuals say of who made them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from services.retriever.corpus import Corpus
from services.retriever.lexicon import Lexicon
from services.retriever.spelling import distance
from services.retriever.terms import Expansion
from services.retriever.tokens import running_tokens

HOLDERS = 200
"""Documents that are looked at for having a product's name."""
MISTYPED = 5
"""Letters of a name, at least, that may be mistyped."""
COMPARED = 32
"""Words that no passage has, the first, that are compared with all makers: a log may have many."""
_WORD = re.compile(r"[A-Za-z]+")
_CLAUSE = re.compile(r"[，；：。？！]|[,;:.!?](?=\s|[^\x00-\x7f])")

Name = tuple[str, ...]
"""A name, as tokens."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A maker or a product of the trade's list that a question names."""

    said: str
    """As the question has it."""
    start: int
    """Where it begins there, characters."""
    names: Sequence[Name]
    """What it is called."""


def makers_of(
    question: str, expansions: Sequence[Expansion], lexicon: Lexicon, known: Collection[str]
) -> list[Maker]:
    """Return the makers that a question names, the mistyped ones too.

    Args:
        question: as asked.
        expansions: what else its words are called.
        lexicon: the trade's list.
        known: words that some passage has: those are right.
    """
    found: dict[tuple[int, int], dict[Name, None]] = {}
    for one in expansions:
        if one.maker:
            found.setdefault((one.start, one.end), {one.words: None})[one.tokens] = None
    compared: set[str] = set()
    for match in _WORD.finditer(question):
        (word, *_) = running_tokens(match[0]) or [""]
        if len(word) < MISTYPED or word in known or lexicon.knows(word):
            continue
        compared.add(word)
        if len(compared) > COMPARED:
            break
        for names in lexicon.makers():
            if any(
                name[0].isascii() and len(name[0]) >= MISTYPED and distance(word, name[0], 1) == 1
                for name in names
                if len(name) == 1
            ):
                found.setdefault(match.span(), {}).update(dict.fromkeys(names))
    return [Maker(question[a:b], a, list(names)) for (a, b), names in sorted(found.items())]


def together(question: str, start: int, code: int) -> bool:
    """Return whether a name and a code stand in one clause of a question.

    Args:
        question: as asked.
        start: where the name begins, characters.
        code: where the code begins.
    """
    return _CLAUSE.search(question, min(start, code), max(start, code)) is None


async def made_by(corpus: Corpus, makers: Sequence[Maker]) -> set[int]:
    """Return the documents of some makers: they go by the name, or say whose they are."""
    made: set[int] = set()
    for name in dict.fromkeys(name for maker in makers for name in maker.names):
        made |= {n for n in corpus.active if corpus.names.of(n).issuperset(name)}
        made |= await corpus.made_by(" ".join(name))
    return corpus.names.family(made & corpus.active.keys())


async def products(corpus: Corpus, lexicon: Lexicon, words: Collection[str]) -> list[str]:
    """Return the words that are products' names, in small letters as well.

    Such is what a whole manual goes by and no other manual speaks of.

    Args:
        corpus: the manuals.
        lexicon: the trade's list: its words are no names.
        words: tokens of the question.
    """
    found: list[str] = []
    for word in words:
        own = corpus.names.product(word)
        if own and not lexicon.knows(word):
            holders = await corpus.holders(word, HOLDERS)
            found += [word] if own.issuperset(holders) else []
    return found


async def whose(
    corpus: Corpus, makers: Sequence[Maker], products: Collection[str]
) -> tuple[set[int], str]:
    """Return the documents of the makers and products a question names.

    Args:
        corpus: the manuals.
        makers: from `makers_of`.
        products: tokens of products' names.

    Returns:
        The documents, none where any may be meant; and the maker it names that none is of, where
        it names no other.
    """
    names = corpus.names
    made = await made_by(corpus, makers)
    words = {token for maker in makers for name in maker.names for token in name}
    own = names.family(names.meant(names.named({*products} - words, {})))
    if own and made:
        return (own & made) or (own | made), ""
    return own or made, makers[0].said if makers and not (own or made) else ""
