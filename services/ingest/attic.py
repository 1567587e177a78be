"""Which originals are missing, and which nobody needs (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

GRACE_S = 86_400.0
"""An original nobody needs stays for so long, seconds: whoever put it there may come back."""
PART_GRACE_S = 3_600.0
"""The same of a copy that was never finished."""

_ORIGINAL = re.compile(r"[0-9a-f]{64}\Z")
_PART = ".new-"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look comes to."""

    missing: tuple[str, ...]
    """Hashes of originals that should be there."""
    orphans: tuple[str, ...]
    """Names of files that may go."""


def sort_out(
    there: Mapping[str, float], needed: Collection[str], left: Collection[str], *, born: float,
    now: float, certain: bool = True,
) -> Findings:  # fmt: skip
    """Compare the folder of originals with the library.

    Args:
        there: files by name, and when each was made, seconds since 1970.
        needed: hashes of originals that revisions have.
        left: hashes of originals that people left when they removed their documents.
        born: since when the library knows every original: it may have been lost before.
        now: seconds since 1970.
        certain: whether each revision knows its original; else one nobody needs may be its.
    """
    orphans = []
    for name, made in there.items():
        if name.startswith(_PART):
            if now - made > PART_GRACE_S:
                orphans.append(name)
        elif not _ORIGINAL.match(name) or name in needed or name in left:
            continue
        # What was there before the library is not known to be nobody's.
        elif certain and made > born and now - made > GRACE_S:
            orphans.append(name)
    missing = tuple(sha256 for sha256 in needed if sha256 and sha256 not in there)
    return Findings(missing, tuple(orphans))


def younger(
    there: Mapping[str, float], needed: Collection[str], left: Collection[str], written: float
) -> bool:
    """Return whether an original nobody needs came after the library was last written.

    Then the library is an older one that was put back, and the original is its lost document's.

    Args:
        there: as for `sort_out`.
        needed: the same.
        left: the same.
        written: when the newest of the revisions was, seconds since 1970.
    """
    return any(
        made > written and _ORIGINAL.match(name) and name not in needed and name not in left
        for name, made in there.items()
    )
