"""A search taken apart: what it asks for, in which words, and what manuals have of its codes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from schemas.retrieval import Search
from services.retriever import idle, mentions, question, spelling, strangers, symptoms
from services.retriever.asked import codes_asked
from services.retriever.codes import Code
from services.retriever.corpus import Corpus
from services.retriever.known import Known, look_up, of_stranger
from services.retriever.lexicon import Lexicon
from services.retriever.others import Alternative, Respelt
from services.retriever.quantities import quantities
from services.retriever.seams import seams
from services.retriever.setting import setting
from services.retriever.terms import Expansion
from services.retriever.tokens import language, query_tokens, running_tokens, tokens
from services.retriever.whose import Maker, makers_of, products, together, whose

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
MACHINE = 0.4
"""What a word counts that is the machine as a whole."""
SURELY_KIN = 0.5
"""Weight from which on another name of a machine means the same kind."""
MOST_KIN = 8000
"""Passages that may have a name by which documents are found to be about such a machine."""
BRIEF = 2
"""Words beside what a machine is called, at most, where that only says whose they are."""
REPORT = 6
"""The same where what is wrong is reported: a few Chinese characters are as many words."""
TOO_SHORT = 4
"""Letters of a name that may be one slip from any word."""
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
    readings: Sequence[Mapping[str, float]]
    """What its words tell: all of them, and without those that do not say what is asked."""
    trade: frozenset[str]
    """Of its tokens, those that are of the trade's words."""
    symptom: frozenset[str]
    """Of its tokens, those of what a machine has, where it says little more."""
    kin: frozenset[int]
    """Documents about the kind of machine it speaks of."""
    beyond: bool
    """It asks what no manual says."""
    interval: bool
    """It asks how often something is to be done."""
    makers: Sequence[Sequence[tuple[str, ...]]]
    """The names of each maker or product in it, its own first, as tokens."""
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
        search = self._spelt(search)
        asked = search.question
        place = setting(asked, search.asset)
        tags = self._tags(place.tags, search.code)
        codes = [c for c in codes_asked(search, corpus.names) if not tags.issuperset(tokens(c.raw))]
        amounts = quantities(asked)
        glued = {f"{one.number}{one.unit}" for one in amounts}
        words = [w for w in query_tokens(f"{asked} {search.code}".strip()) if w not in glued]
        run = running_tokens(asked)
        expansions = [
            one
            for one in self._lexicon.expand(asked)
            if not (one.maker and place.beside.issuperset(one.words))
        ]
        makers, own = _makers(expansions)
        salient = mentions.name_like(asked) | own
        aside = tags | (place.beside & salient)
        salient -= aside | {one.unit for one in amounts}
        # The trade's own names are no product's.
        alike = salient & (mentions.name_like(asked, self._lexicon.is_term) | own)
        apart = seams(asked, {(one.start, one.end) for one in expansions})
        messages = mentions.messages(asked)
        said = (words, run, *messages, *(one.tokens for one in expansions))
        frequency = await corpus.frequency(list({token for some in said for token in some}))
        words = _needed(words, run, frequency) or words
        respelt = await self._respelt([w for w in words if w not in frequency], alike, frequency)
        # The likeliest comes first.
        meant_by = {one.words[0]: one.tokens[0] for one in reversed(respelt)}
        reports = not codes and symptoms.reported(" ".join([asked, *meant_by.values()]))
        asks = _asks(asked, known_name=any(word in frequency for word in alike), reports=reports)
        # Codes and names tell what is asked.
        said_else = () if codes or alike else {*words} - asks - apart
        machines = _machines(asked, said_else, expansions, REPORT if reports else BRIEF)
        kin = await self._kin(machines, expansions, frequency)
        others: list[Alternative] = [*expansions, *respelt]
        # What it was meant to be stands beside the other words.
        run = [meant_by.get(word, word) for word in run]
        spelt = _spelt([code for code in codes if not _PRODUCT.match(code.canonical)])
        lone = {name[0] for maker in makers for name in maker if len(name) == 1}
        naming = [word for word in words if word not in spelt and word not in lone | aside]
        texts = await self._holders({*naming, *lone} & (alike | lone), frequency)
        named, meant = self._about(naming, alike, texts, makers)
        if scope is not None:
            named = {number: weight for number, weight in named.items() if number in scope}
            meant, kin = meant & set(scope), kin & set(scope)
        theirs, foreign = await self._own(
            asked,
            codes,
            makers_of(asked, expansions, self._lexicon, frequency),
            [w for w in (*words, *(w for one in respelt for w in one.tokens)) if w not in aside],
            {word for word in naming if word in alike},
        )
        meant = (theirs if scope is None else theirs & set(scope)) or meant
        about = self._about_all(alike, own, meant) if reports else set()
        faint = (
            dict.fromkeys(apart, SEAM)
            | dict.fromkeys(machines, MACHINE)
            | dict.fromkeys(asks, ASKING)
            | dict.fromkeys((place.place - alike) | about, PLACE)
            | dict.fromkeys(aside, 0.0)
        )
        known = await look_up(corpus, codes, meant or scope or (), only=only or bool(meant))
        told = [code for code in codes if code.certain and (code.asked or code in known.told)]
        if told and not meant and not search.code:
            beside = self._stranger(asked, told[0], frequency, respelt)
            await of_stranger(corpus, known, (foreign if scope is None else "") or beside)
        coded = {token for code in told for token in tokens(code.raw)}
        read = question.read(
            words,
            run,
            others,
            frequency,
            corpus.size,
            names=alike,
            codes=_spelt(told),
            messages=messages,
            faint=faint,
            quantities=amounts,
            machines=machines | about,
            reports=reports,
        )
        return Inquiry(
            search=search,
            codes=codes,
            known=known,
            words=read,
            # What has `fault 3` quotes nothing.
            run=run
            if len(run) > 1 and {*run} - coded and all(word in frequency for word in run)
            else (),
            salient=salient,
            readings=_readings(read.weights, coded, machines, asks | apart),
            symptom=frozenset(read.weights).difference(machines, asks, apart, alike)
            if reports
            else _symptom(read.weights, machines, asks, apart),
            kin=kin,
            trade=frozenset(token for one in expansions for token in one.words),
            beyond=idle.beyond(asked),
            interval=idle.how_often(asked),
            makers=makers,
            spoken=texts,
            named=named,
            meant=sorted(meant),
            strange=bool(makers)
            and not any(code.certain and code.asked for code in codes)
            and not any(
                token in corpus.names or frequency.get(token)
                for maker in makers
                for name in maker
                for token in name
            ),
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

    def _about(
        self,
        naming: Sequence[str],
        alike: Collection[str],
        texts: Mapping[str, Collection[int]],
        makers: Sequence[Sequence[tuple[str, ...]]],
    ) -> tuple[dict[int, float], set[int]]:
        """Return how much a question names each document, and which it is surely about."""
        names = self._corpus.names
        # Only what looks like a name, or is a maker's, says that no others are meant.
        # A title does: texts speak of other machines as well.
        surely = names.named([word for word in naming if word in alike], {}, makers)
        return names.named(naming, texts, makers), names.family(names.meant(surely))

    def _about_all(
        self, alike: Collection[str], makers: Collection[str], meant: Collection[int]
    ) -> set[str]:
        """Return the names that all of a manual is about: they tell none of its passages apart.

        Args:
            alike: words that look like names.
            makers: those that are of makers.
            meant: the documents that are surely meant.
        """
        if not meant:
            return set()
        there = frozenset().union(*map(self._corpus.names.of, meant))
        return {word for word in alike if word in there}.union(makers)

    async def _own(
        self,
        asked: str,
        codes: Sequence[Code],
        makers: Sequence[Maker],
        words: Collection[str],
        names: Collection[str],
    ) -> tuple[set[int], str]:
        """Return whose code a question surely asks for, see `whose.whose`; nothing for none.

        `words` are its tokens, `names` those of them that look like names.
        """
        place = next((code.start for code in codes if code.certain and code.asked), None)
        if place is None:
            return set(), ""
        beside = [one for one in makers if together(asked, one.start, place)]
        typed = await products(self._corpus, self._lexicon, words)
        return await whose(self._corpus, beside, {*names, *typed})

    def _stranger(
        self, asked: str, code: Code, frequency: Mapping[str, int], respelt: Sequence[Respelt]
    ) -> str:
        """Return the maker or product beside a code that nobody has; empty for none."""
        name = strangers.beside(asked, code.start, code.end)
        said = {word for word in tokens(name) if not word.isdigit()}
        heard = {word for one in respelt for word in one.words if len(word) > TOO_SHORT}
        there = any(w in frequency or w in heard or w in self._corpus.names for w in said)
        strange = said and not there and not any(map(self._lexicon.knows, name.split()))
        return name if strange else ""

    async def _kin(
        self, machines: frozenset[str], terms: Sequence[Expansion], frequency: Mapping[str, int]
    ) -> frozenset[int]:
        """Return the documents about machines of the kind that a question speaks of."""
        names = {one.words for one in terms if machines and machines.issuperset(one.words)}
        names |= {
            one.tokens
            for one in terms
            if machines and machines.issuperset(one.words) and one.weight >= SURELY_KIN
        }
        kin: frozenset[int] = frozenset()
        for name in names:
            if all(0 < frequency.get(token, 0) <= MOST_KIN for token in name):
                kin |= await self._corpus.about(" ".join(name))
        return frozenset(self._corpus.names.family(kin))

    async def _holders(
        self, alike: Collection[str], frequency: Mapping[str, int]
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


def _symptom(
    weights: Mapping[str, float],
    machines: Collection[str],
    asks: Collection[str],
    apart: Collection[str],
) -> frozenset[str]:
    """Return the words that a passage should be called by which answers a brief question.

    What a machine has, or the command of which more is asked.
    """
    if not machines and not asks:
        return frozenset()
    core = frozenset(weights).difference(machines, asks, apart)
    return core if len(core) <= BRIEF else frozenset()


def _readings(
    weights: Mapping[str, float],
    codes: Collection[str],
    machines: Collection[str],
    idle: Collection[str],
) -> list[Mapping[str, float]]:
    """Return what words tell, without those of codes, and without those that ask nothing.

    Args:
        weights: what each word tells.
        codes: of the words, those of codes that are asked for: those are looked up.
        machines: of the words, those that say what machine it is.
        idle: of the words, others that do not say what is asked.
    """
    every = {
        word: weight / MACHINE if word in machines else weight
        for word, weight in weights.items()
        if word not in codes
    }
    core = {w: weight for w, weight in every.items() if w not in idle and w not in machines}
    return [every, core] if core and len(core) < len(every) else [every]


def _makers(
    expansions: Sequence[Expansion],
) -> tuple[list[list[tuple[str, ...]]], set[str]]:
    """Return the names of each maker or product of the question, its own first, and its words."""
    makers: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for one in expansions:
        if one.maker:
            makers.setdefault(one.words, {one.words: None})[one.tokens] = None
    return [list(names) for names in makers.values()], {word for name in makers for word in name}


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


def _spelt(codes: Sequence[Code]) -> set[str]:
    """Return the tokens that are codes, or parts of one: they are found by the code index."""
    spelt = {form.lower() for code in codes for form in (code.canonical, code.loose)}
    return spelt.union(*(query_tokens(code.raw) for code in codes if code.certain))
