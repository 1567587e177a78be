"""What a search says: its words as manuals spell them, other names of them, how rare they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from schemas.retrieval import Search
from services.retriever import mentions, spelling
from services.retriever.corpus import Corpus
from services.retriever.lexicon import Lexicon
from services.retriever.others import Respelt
from services.retriever.quantities import Quantity, quantities
from services.retriever.seams import seams
from services.retriever.setting import Setting
from services.retriever.terms import Expansion
from services.retriever.tokens import query_tokens, running_tokens

MISTYPED = 4
"""Words of a question that are put right at most."""

Name = tuple[str, ...]
"""A name, as tokens."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a search."""

    asked: str
    """The question, with its abbreviations and names as manuals have them."""
    each: Sequence[str]
    """Its tokens, each once."""
    run: Sequence[str]
    """Its tokens as they follow one another, as typed."""
    expansions: Sequence[Expansion]
    """What else they are called."""
    respelt: Sequence[Respelt]
    """What those may have been meant to be that no passage has."""
    frequency: Mapping[str, int]
    """In how many passages each token is, other names' and messages' too; those in none are not."""
    messages: Sequence[Name]
    """What it quotes."""
    amounts: Sequence[Quantity]
    """Numbers with their units."""
    makers: Sequence[Sequence[Name]]
    """The names of each maker or product of the trade's list in it, its own first."""
    makers_own: frozenset[str]
    """The words by which it calls those."""
    salient: frozenset[str]
    """Those that look like names, of the trade's own too."""
    alike: frozenset[str]
    """The same without the trade's own: they are no product's."""
    seams: frozenset[str]
    """Pairs of Chinese characters that only stand where two words meet."""
    place: frozenset[str]
    """Those that say where in the plant, and no more."""
    aside: frozenset[str]
    """Numbers of machines of the plant, and names of what stands beside the one that is meant."""

    @property
    def meant_by(self) -> dict[str, str]:
        """Return what each mistyped word was likeliest meant to be."""
        return {one.words[0]: one.tokens[0] for one in reversed(self.respelt)}

    @property
    def run_right(self) -> list[str]:
        """Return the tokens as they follow one another, those put right that were mistyped."""
        meant_by = self.meant_by
        return [meant_by.get(word, word) for word in self.run]


async def words_of(
    search: Search, place: Setting, tags: Collection[str], corpus: Corpus, lexicon: Lexicon
) -> Words:
    """Return what a search says.

    Args:
        search: with abbreviations and names as manuals have them.
        place: where in the plant it is asked.
        tags: tokens of numbers of machines of the plant.
        corpus: what is asked.
        lexicon: what else words are called.
    """
    asked = search.question
    amounts = quantities(asked)
    glued = {f"{one.number}{one.unit}" for one in amounts}
    words = [w for w in query_tokens(f"{asked} {search.code}".strip()) if w not in glued]
    run = running_tokens(asked)
    expansions = [
        one
        for one in lexicon.expand(asked)
        if not (one.maker and place.beside.issuperset(one.words))
    ]
    makers = _makers(expansions)
    own = frozenset(word for names in makers for word in names[0])
    salient = mentions.name_like(asked) | own
    aside = frozenset(tags) | (place.beside & salient)
    salient -= aside | {one.unit for one in amounts}
    alike = salient & (mentions.name_like(asked, lexicon.is_term) | own)
    messages = mentions.messages(asked)
    said = (words, run, *messages, *(one.tokens for one in expansions))
    frequency = await corpus.frequency(list({token for some in said for token in some}))
    words = _needed(words, run, frequency) or words
    unknown = [word for word in words if word not in frequency]
    respelt, there = await _respelt(unknown, alike, corpus, lexicon)
    return Words(
        asked=asked,
        each=words,
        run=run,
        expansions=expansions,
        respelt=respelt,
        frequency=frequency | there,
        messages=messages,
        amounts=amounts,
        makers=makers,
        makers_own=own,
        salient=salient,
        alike=alike,
        seams=seams(asked, {(one.start, one.end) for one in expansions}),
        place=place.place,
        aside=aside,
    )


def _makers(expansions: Sequence[Expansion]) -> list[list[Name]]:
    """Return the names of each maker or product of the question, its own first."""
    makers: dict[Name, dict[Name, None]] = {}
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


async def _respelt(
    unknown: Sequence[str], alike: Collection[str], corpus: Corpus, lexicon: Lexicon
) -> tuple[list[Respelt], dict[str, int]]:
    """Return what words may have been meant to be that no passage has, the likeliest first.

    And in how many passages those are.
    """
    found: list[Respelt] = []
    frequency: dict[str, int] = {}
    wrong = [w for w in unknown if spelling.correctable(w) and not lexicon.knows(w)]
    for word in wrong[:MISTYPED]:
        known = await corpus.frequency(spelling.slips(word))
        if word not in alike:
            known |= await corpus.beginning(spelling.beginnings(word))
        for term, weight in spelling.corrections(word, known):
            found.append(Respelt((word,), (term,), weight))
            frequency[term] = known[term]
    return found, frequency
