"""What people say about a document: assets, kind, model and the like (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import msgspec

from schemas.channel import MAX_TOPIC
from services.runtime.errors import Fatal, Rejected
from services.runtime.messages import check_filter

_LONGEST = 200
"""Characters of a title or of one word."""
_MOST = 64
"""Assets or tags of one document."""


class Labels(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As they are kept; empty where nothing was said."""

    title: str = ""
    """Title to show in place of the file's own."""
    assets: list[str] = []
    """Machines it belongs to, MQTT filters."""
    lang: str = ""
    """Main language, in place of the one that was found."""
    kind: str = ""
    """What it is; in lower case."""
    model: str = ""
    """The product it is about."""
    collection: str = ""
    """The shelf it stands on."""
    tags: list[str] = []
    """Other words; in lower case."""


def labels_of(said: object, *, before: Labels | None = None, empty_clears: bool = False) -> Labels:
    """Return labels with what is said now.

    Args:
        said: has the fields of `Labels`; None leaves one as it was before.
        before: what was said until now.
        empty_clears: whether an empty one takes back what was said; else it says nothing.

    Raises:
        Rejected: one of them cannot be.
    """
    changes: dict[str, Any] = {}
    for name in Labels.__struct_fields__:
        value = getattr(said, name)
        if value is None or (not value and not empty_clears):
            continue
        if name == "assets":
            changes[name] = _assets(value)
        elif name == "tags":
            changes[name] = _words(word.lower() for word in value)
        else:
            changes[name] = _word(name, value.lower() if name in {"kind", "lang"} else value)
    return msgspec.structs.replace(before or Labels(), **changes)


def overlaid(first: Labels, then: Labels) -> Labels:
    """Return the first with what the second says besides or instead; tags are added."""
    said = {n: getattr(then, n) for n in Labels.__struct_fields__ if getattr(then, n)}
    said["tags"] = list(dict.fromkeys([*first.tags, *then.tags]))
    return msgspec.structs.replace(first, **said)


def changed(old: Labels, new: Labels) -> dict[str, Any]:
    """Return those of the new that are not as in the old, by name."""
    return {
        name: getattr(new, name)
        for name in Labels.__struct_fields__
        if getattr(old, name) != getattr(new, name)
    }


def word_of(name: str) -> str:
    """Return what can be said of the name of a folder: shortened, without control characters."""
    kept = (c for c in unicodedata.normalize("NFC", name) if not _is_control(c))
    return "".join(kept)[:_LONGEST]


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"}


def _assets(assets: list[str]) -> list[str]:
    for asset in assets:
        if len(asset) > MAX_TOPIC:
            raise Rejected(
                "describe", f"an asset of {len(asset)} characters", f"at most {MAX_TOPIC}"
            )
        try:
            check_filter(asset)
        except Fatal as error:
            raise Rejected(
                "describe",
                f"asset {asset!r}: {error.reason}",
                "name it like plant/motor7 or plant/+",
            ) from error
    return _few("assets", list(dict.fromkeys(assets)))


def _words(words: Iterable[str]) -> list[str]:
    kept = [_word("tag", word) for word in words]
    return _few("tags", list(dict.fromkeys(word for word in kept if word)))


def _few(name: str, values: list[str]) -> list[str]:
    if len(values) > _MOST:
        raise Rejected("describe", f"{len(values)} {name}", f"{_MOST} are allowed")
    return values


def _word(name: str, word: str) -> str:
    kept = " ".join(unicodedata.normalize("NFC", word).split())
    if len(kept) > _LONGEST:
        raise Rejected("describe", f"a {name} of {len(kept)} characters", f"at most {_LONGEST}")
    if any(_is_control(c) for c in kept):
        raise Rejected("describe", f"a {name} with control characters", "use letters")
    return kept
