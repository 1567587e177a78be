"""A question whose mistyped words are put right where they were surely words of the trade.

`overcurent` is `overcurrent`, which manuals of either language have by several names. Only the
word as it is meant tells those names, that a fault is reported, and that a lone word is a topic.
"""

from __future__ import annotations

import re

from services.retriever import spelling
from services.retriever.corpus import Corpus
from services.retriever.lexicon import Lexicon
from services.retriever.tokens import stem

SHORTEST = 6
"""Letters of a word that is put right before anything else is asked: a shorter one may be many."""
MOST = 4
"""Words of a question that are put right."""
RATHER = 20
"""Passages that a word of the trade counts more than it has: it is meant rather than others."""
_WORD = re.compile(r"(?<![\w-])[A-Za-z][a-z]+(?![\w-])")


async def righted(question: str, corpus: Corpus, lexicon: Lexicon) -> str:
    """Return a question with its mistyped words put right that are one slip from the trade's.

    Words stay that some passage has, that a document goes by, or that are of the trade.

    Args:
        question: as asked.
        corpus: what is asked; it need not have the words that are meant.
        lexicon: the trade's words.
    """
    words = list(dict.fromkeys(m[0] for m in _WORD.finditer(question) if len(m[0]) >= SHORTEST))
    words = [w for w in words if not lexicon.knows(w) and stem(w.lower()) not in corpus.names]
    there = await corpus.frequency([form for w in words for form in (w.lower(), stem(w.lower()))])
    wrong = [w for w in words if w.lower() not in there and stem(w.lower()) not in there]
    meant: dict[str, str] = {}
    for word in wrong[:MOST]:
        terms = spelling.slips(word)
        known = await corpus.frequency(terms)
        trade = [term for term in terms if lexicon.knows(spelling.as_written(word, term))]
        known |= {term: RATHER + known.get(term, 0) for term in trade}
        best = spelling.corrections(word, known)
        if best and best[0][0] in trade:
            meant[word] = spelling.as_written(word, best[0][0])
    return _WORD.sub(lambda match: meant.get(match[0], match[0]), question)
