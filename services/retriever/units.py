"""Which codes the manuals of an asset define: what may strike there one day."""

from __future__ import annotations

import json

from schemas.retrieval import Unit, UnitList, UnitQuery
from services.retriever.corpus import Corpus
from services.retriever.records import passage_of
from services.retriever.scope import of_asset
from services.retriever.statements import Q


async def units(corpus: Corpus, query: UnitQuery) -> UnitList:
    """Return a page of them; none where no document is bound to the asset.

    Raises:
        Retryable: the disk fails.
    """
    generation = corpus.generation
    scope = of_asset(corpus.active, query.asset)
    if not scope:
        return UnitList(units=[], generation=generation)
    rows = await corpus.database.fetch(Q["units"], (json.dumps(scope), query.after, query.limit))
    found = [
        Unit(
            code=row["canonical"],
            kind=row["kind"],
            headers=[field.name for field in passage_of(row["content"]).fields],
        )
        for row in rows
    ]
    more = len({row["id"] for row in rows}) == query.limit
    return UnitList(units=found, generation=generation, next=rows[-1]["id"] if more else 0)
