"""Which documents a search is about (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal

from schemas.retrieval import DocumentRef, Search


def matches(filter_: str, asset: str) -> bool:
    """Return whether an MQTT filter covers an asset: `+` is one level, a last `#` the rest."""
    wanted, levels = filter_.split("/"), asset.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)


def of_asset(documents: Mapping[int, DocumentRef], asset: str) -> list[int]:
    """Return the numbers of the revisions that belong to an asset; none where none does."""
    if not asset:
        return []
    return [
        number
        for number, document in documents.items()
        if any(matches(filter_, asset) for filter_ in document.assets)
    ]


def limited(documents: Mapping[int, DocumentRef], search: Search) -> dict[int, DocumentRef] | None:
    """Return the revisions a search is limited to; None where it is not."""
    if not (search.collection or search.kind or search.tags):
        return None
    return {
        number: document
        for number, document in documents.items()
        if search.collection in ("", document.collection)
        and search.kind in ("", document.kind)
        and set(search.tags) <= set(document.tags)
    }


Unknown = Literal["asset", "collection"]
_FEW = 5
"""Names that are all told where none is alike."""


def nobodys(
    documents: Mapping[int, DocumentRef], search: Search
) -> tuple[list[Unknown], list[str]]:
    """Return what of a search no document has, and what is like it of all there is.

    Where no document has an asset, or a collection, none is missed.
    """
    assets = sorted({one for document in documents.values() for one in document.assets})
    shelves = sorted({document.collection for document in documents.values()} - {""})
    lacking: list[Unknown] = []
    known: list[str] = []
    if assets and search.asset and not of_asset(documents, search.asset):
        lacking.append("asset")
        known += _alike(search.asset, assets)
    if search.collection and search.collection not in shelves:
        lacking.append("collection")
        known += _alike(search.collection, shelves)
    return lacking, known


def _alike(name: str, names: list[str]) -> list[str]:
    near = get_close_matches(name, names, n=3)
    return near or (names if len(names) <= _FEW else [])
