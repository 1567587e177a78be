"""Mosquitto's file of sessions and retained messages: is it whole, and away with it if not.

After a power cut it can be all nulls or end too early, and Mosquitto 2.0.11 then does not start.
"""

from __future__ import annotations

import hashlib
import struct
import time
from pathlib import Path

KEPT_ASIDE = 3
"""Damaged files that are kept, so that a failing disk does not fill up as well."""
_MAGIC = b"\x00\xb5\x00mosquitto db"
_HEADER = struct.Struct(">15sII")
"""Magic, checksum (unused), version of the format."""
_CHUNK = struct.Struct(">II")
"""Kind and length of a chunk, from version 5 on; persist.h of Mosquitto 2.0."""
_CHUNKED = 5
_KINDS = range(1, 9)


def damage(path: Path) -> str:
    """Return what is wrong with the file; empty where it is whole, empty or not there.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists() or not (size := path.stat().st_size):
        return ""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if not head.strip(b"\0"):
            return f"its first {len(head)} bytes are nulls"
        if len(head) < _HEADER.size or not head.startswith(_MAGIC):
            return "it does not begin as Mosquitto's file does"
        _magic, _checksum, version = _HEADER.unpack(head)
        at = len(head) if version >= _CHUNKED else size
        while at < size:
            file.seek(at)
            part = file.read(_CHUNK.size)
            if len(part) < _CHUNK.size:
                return f"it ends too early, after {size} bytes"
            kind, length = _CHUNK.unpack(part)
            if kind not in _KINDS:
                return f"nothing can be read from byte {at} on, of {size}"
            at += _CHUNK.size + length
    return "" if at == size else f"it ends too early, after {size} bytes"


def fingerprint(path: Path) -> str:
    """Return what tells whether the file is the same as before; empty where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_aside(path: Path) -> Path:
    """Rename the file so that Mosquitto starts without it; return its new name.

    Of those set aside the newest `KEPT_ASIDE` stay.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    path.rename(aside)
    older = sorted(path.parent.glob(f"{path.name}.damaged-*"), key=lambda p: p.stat().st_mtime_ns)
    for old in [one for one in older if one != aside][: -(KEPT_ASIDE - 1)]:
        old.unlink()
    return aside


def put_aside(path: Path, reason: str) -> str:
    """Set the file aside, and return what a person should be told of it."""
    aside = set_aside(path)
    return (
        f"The broker's file was damaged ({reason}) and is set aside as {aside.name}:"
        " it starts without what waited for delivery and without retained messages."
    )
