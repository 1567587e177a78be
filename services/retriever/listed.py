"""The list that stands below a passage: a word's bits, the fields of a reply."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.retrieval import Hit, Passage
from services.retriever.corpus import Corpus

MOST = 40
"""Rows of a list that are given."""
_FIRST = 3
"""Hits that may answer: the lists below others are nobody's matter."""


async def with_lists(corpus: Corpus, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits, the first of them with the list that stands below."""
    numbers = {(one.doc_id, one.revision): number for number, one in corpus.active.items()}
    found: list[Hit] = []
    for hit in hits:
        number = numbers.get((hit.document.doc_id, hit.document.revision))
        if number is None or hit.passage.kind == "row" or len(found) >= _FIRST:
            found.append(hit)
            continue
        begin = hit.passage.ordinal + 1
        after = await corpus.following(number, begin, begin + MOST - 1)
        found.append(msgspec.structs.replace(hit, below=rows_below(hit.passage, after)))
    return found


def rows_below(passage: Passage, after: Sequence[Passage]) -> list[str]:
    """Return the rows that follow a passage in its section, as text (pure).

    Args:
        passage: an entry, or text that begins the list: of other text it is not the matter.
        after: what follows in the document, in order.
    """
    rows: list[str] = []
    for place, one in enumerate(after):
        stands = one.ordinal == passage.ordinal + 1 + place
        if not stands or one.kind != "row" or one.section != passage.section:
            break
        rows.append(one.text)
    begun = rows and (passage.kind == "entry" or _flat(rows[0]) in _flat(passage.text))
    return rows if begun else []


def _flat(text: str) -> str:
    return "".join(text.split())
