"""Zipped documents, looked at before anything unpacks them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from services.runtime.errors import Rejected

MAX_MEMBER = 256 * 2**20
"""Unpacked size of one part, bytes: more is a bomb."""
MAX_TOTAL = 2 * 2**30
"""Unpacked size of all parts, bytes."""
MAX_MEMBERS = 20_000
MAX_RATIO = 200
"""Unpacked to packed size of a large part above which it is a bomb."""
_LARGE = 16 * 2**20
_HARM = "this is no manual: the file was made to do harm, or is damaged"


def check(path: Path, what: str) -> None:
    """Look at the sizes of a file's parts.

    Raises:
        Rejected: it is no complete archive, encrypted, or unpacks to more than any manual has.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Rejected(
            f"read {what}",
            "the file is damaged: it breaks off or is no complete archive",
            "copy it again from where it came from",
        ) from error
    if len(parts) > MAX_MEMBERS:
        raise Rejected(f"read {what}", f"it has {len(parts)} parts", _HARM)
    for part in parts:
        if part.flag_bits & 1:
            raise Rejected(
                f"read {what}",
                "the document is encrypted and needs a password",
                "save a copy without a password and add that",
            )
        ratio = part.file_size / max(part.compress_size, 1)
        if part.file_size > MAX_MEMBER or (part.file_size > _LARGE and ratio > MAX_RATIO):
            raise Rejected(
                f"read {what}",
                f"its part {part.filename} unpacks to {part.file_size // 2**20} MB",
                _HARM,
            )
    total = sum(part.file_size for part in parts)
    if total > MAX_TOTAL:
        raise Rejected(f"read {what}", f"it unpacks to {total // 2**20} MB", _HARM)
