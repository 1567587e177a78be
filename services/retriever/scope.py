"""Which documents a search is about (pure)."""

from __future__ import annotations

from collections.abc import Mapping

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
