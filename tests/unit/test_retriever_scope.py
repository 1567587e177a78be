"""Which documents a search is about."""

from __future__ import annotations

import pytest

from schemas.retrieval import DocumentRef, Search
from services.retriever.scope import matches, nobodys, of_asset

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("filter_", "asset", "covered"),
    [
        ("plant/motor7", "plant/motor7", True),
        ("plant/+", "plant/motor7", True),
        ("plant/#", "plant/hall2/motor7", True),
        ("plant/#", "plant", True),
        ("#", "plant/motor7", True),
        ("plant/+", "plant/hall2/motor7", False),
        ("plant/motor7", "plant/motor70", False),
        ("plant/motor7", "plant", False),
    ],
)
def test_filters_cover_assets_as_mqtt_does(filter_: str, asset: str, covered: bool) -> None:
    assert matches(filter_, asset) is covered


def test_an_asset_has_its_documents() -> None:
    documents = {
        1: DocumentRef(doc_id="a", revision=1, title="a", file="a", assets=["plant/motor7"]),
        2: DocumentRef(doc_id="b", revision=1, title="b", file="b", assets=["line/+"]),
        3: DocumentRef(doc_id="c", revision=1, title="c", file="c"),
    }
    assert of_asset(documents, "plant/motor7") == [1]
    assert of_asset(documents, "") == []
    assert of_asset(documents, "other") == []


def test_a_machine_or_a_collection_nobody_has_is_told_with_what_is_like_it() -> None:
    documents = {
        1: DocumentRef(
            doc_id="a", revision=1, title="", file="", assets=["hall/drive"], collection="pumps"
        ),
        2: DocumentRef(doc_id="b", revision=1, title="", file="", assets=["yard/+"]),
    }

    def told(**said: str) -> tuple[list[str], list[str]]:
        lacking, known = nobodys(documents, Search(question="?", **said))  # type: ignore[arg-type]
        return list(lacking), known

    assert told(asset="hall/drvie") == (["asset"], ["hall/drive"])
    assert told(asset="yard/crane", collection="pumps") == ([], [])
    assert told(collection="pump") == (["collection"], ["pumps"])
    unassigned = {2: DocumentRef(doc_id="b", revision=1, title="", file="")}
    assert nobodys(unassigned, Search(question="?", asset="hall/drive")) == ([], [])
