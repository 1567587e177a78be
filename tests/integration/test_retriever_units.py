"""Which codes the manuals of an asset define, page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.retrieval import DocumentRef, Field, Passage, UnitQuery
from services.retriever.corpus import Corpus
from services.retriever.records import prepare
from services.retriever.units import units

pytestmark = pytest.mark.integration


def row(ordinal: int, code: str) -> Passage:
    fields = [Field("Fault code", code), Field("Cause", f"cause {ordinal}")]
    text = " | ".join(f"{field.name}: {field.value}" for field in fields)
    return Passage(ordinal=ordinal, kind="row", text=text, fields=fields)


async def put(corpus: Corpus, doc_id: str, asset: str, passages: list[Passage]) -> None:
    ref = DocumentRef(doc_id=doc_id, revision=1, title=doc_id, file="f.pdf", assets=[asset])
    await corpus.put(ref, prepare(ref, passages))
    await corpus.activate(doc_id, 1, len(passages))


async def test_the_codes_of_an_asset_come_in_pages(tmp_path: Path) -> None:
    corpus = await Corpus.open(tmp_path / "corpus.db")
    rows = [row(n, f"F3000{n}") for n in range(5)]
    mentioned = Passage(ordinal=5, text="see also F30009 there")
    await put(corpus, "a", "line/m1", [*rows, mentioned])
    await put(corpus, "b", "line/+", [row(0, "F40001"), row(1, "F40002, F40003")])
    await put(corpus, "c", "line/m2", [row(0, "F50001")])
    for limit in (1, 2, 3, 500):
        found, after = [], 0
        while True:
            page = await units(corpus, UnitQuery(asset="line/m1", after=after, limit=limit))
            found += page.units
            after = page.next
            if not after:
                break
        codes = [unit.code for unit in found]
        assert codes[:6] == [f"F3000{n}" for n in range(5)] + ["F40001"], limit
        assert set(codes[6:]) <= {"F40002", "F40003"}
        assert codes[6:], limit
        assert found[0].headers == ["Fault code", "Cause"]
        assert found[0].kind == "row"
    nothing = await units(corpus, UnitQuery(asset="line/m1/other"))
    assert (nothing.units, nothing.next) == ([], 0)
    await corpus.close()
