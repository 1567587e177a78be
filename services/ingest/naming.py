"""Names and ids of documents (pure)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePath

from services.runtime.errors import Rejected

_LONGEST_NAME = 512
"""Bytes; folders included."""


def doc_id(name: str, attempt: int = 0) -> str:
    """Return the id of a document: readable, fit for a topic, and the same for the same name.

    Where another document has it, one that was renamed since, the next attempt is another.
    """
    plain = unicodedata.normalize("NFKD", PurePath(name).stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].rstrip("-") or "document"
    # No name has a line feed, so no name is taken for a later attempt at another.
    told = name if attempt == 0 else f"{name}\n{attempt}"
    return f"{slug}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def file_name(name: str) -> str:
    """Return a name as it is kept: in the composed form of its characters, folders by `/`.

    Folders belong to the name: two manuals may both have an index.md.

    Raises:
        Rejected: nothing is left of it.
    """
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cc")
    parts = [part.strip() for part in plain.split("/")]
    kept = "/".join(part for part in parts if part not in ("", ".", ".."))
    if not kept:
        raise Rejected("add", f"{name!r} is no file name")
    if len(kept.encode()) > _LONGEST_NAME:
        raise Rejected(
            "add", f"the file name is longer than {_LONGEST_NAME} bytes", "give it a shorter one"
        )
    return kept
