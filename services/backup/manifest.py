"""What a backup consists of, as one small file that is written last (pure).

A line of JSON that everybody can read, a line with the list of files, sealed where there is a key,
and a line with the SHA-256 of both: what was cut off or changed is seen before it is believed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import zlib
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import unquote_to_bytes

import msgspec

from services.backup.seal import Lock, NotOpened, Seal
from services.runtime.errors import Fatal, Rejected

FORMAT = 1
"""Grows when an older Andon could not read what is written."""
DATA, ETC = "data", "etc"
"""Where a file belongs: the data folder, the configuration's."""
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_READ = "read backup"
_SUM = b"sha256 "


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What can be known of a backup without its key."""

    format: int = FORMAT
    """See `FORMAT`."""
    andon: str
    """Version of the Andon that made it."""
    box: str
    """Name of the computer."""
    made: str
    """When it was begun, RFC 3339 UTC."""
    files: int
    """Files in it."""
    size: int
    """Bytes of them."""
    documents: int
    """Documents of the library."""
    secrets: bool
    """Whether passwords and keys are in it."""
    models: bool
    """Whether language models are in it."""
    lock: Lock | None = None
    """Null where it is not encrypted."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file."""

    path: str
    """`data/…` or `etc/…`; bytes that are no UTF-8, and `%`, as `%XX`."""
    size: int
    """Bytes."""
    sha256: Digest
    """Of its content."""
    mode: int
    """Permissions."""
    mtime_ns: int
    """When it was changed, ns since 1970."""
    owner: str = ""
    """User name, only for configuration."""
    group: str = ""
    """Group name, only for configuration."""
    chunks: list[Digest] = []
    """Names of its parts, in order."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a backup."""

    schemas: dict[str, int]
    """Version of the schema of each database."""
    entries: list[Entry]
    """The files."""
    left_out: list[str] = []
    """What could not be taken, a sentence each."""


class DamagedManifest(Rejected):
    """The file is not what was written."""


def encode(head: Head, manifest: Manifest, seal: Seal) -> bytes:
    """Return the file."""
    first = msgspec.json.encode(head)
    body = seal.close(zlib.compress(msgspec.json.encode(manifest)), first)
    text = first + b"\n" + base64.b64encode(body) + b"\n"
    return text + _SUM + hashlib.sha256(text).hexdigest().encode() + b"\n"


def read_head(data: bytes, name: str) -> Head:
    """Return what stands in front.

    Raises:
        DamagedManifest: it was changed or cut off.
        Fatal: a newer Andon wrote it.
    """
    return _taken_apart(data, name)[0]


def decode(data: bytes, seal: Seal, name: str) -> tuple[Head, Manifest]:
    """Return head and list.

    Raises:
        DamagedManifest: it was changed or cut off, or names a place where nothing may be.
        Fatal: a newer Andon wrote it.
        Rejected: the key is another one.
    """
    head, first, body = _taken_apart(data, name)
    try:
        plain = seal.open(base64.b64decode(body, validate=True), first)
        manifest = msgspec.json.decode(zlib.decompress(plain), type=Manifest)
    except NotOpened as error:
        # What was written is whole: so it is the key.
        raise Rejected(
            _READ, f"{name} is not encrypted with this key", "name the key it was made with"
        ) from error
    except (ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise _damaged(name, str(error)) from error
    for entry in manifest.entries:
        if not _safe(entry.path):
            raise _damaged(name, f"it names {entry.path!r}")
    return head, manifest


def _taken_apart(data: bytes, name: str) -> tuple[Head, bytes, bytes]:
    text, mark, told = data.rpartition(_SUM)
    if not mark or told.strip().decode("ascii", "replace") != hashlib.sha256(text).hexdigest():
        raise _damaged(name, "its checksum is wrong")
    try:
        first, body, _ = text.split(b"\n")
        version = msgspec.json.decode(first, type=_Version)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _damaged(name, str(error)) from error
    if version.format > FORMAT:
        raise Fatal(
            _READ,
            f"{name} was made by Andon {version.andon} in format {version.format}; this Andon"
            f" reads formats up to {FORMAT}",
            f"install Andon {version.andon} or a newer one",
        )
    try:
        return msgspec.json.decode(first, type=Head), first, body
    except msgspec.MsgspecError as error:
        raise _damaged(name, str(error)) from error


class _Version(msgspec.Struct):
    format: int
    andon: str


def _damaged(name: str, why: str) -> DamagedManifest:
    return DamagedManifest(_READ, f"{name} is damaged: {why}", "use another backup")


def told(place: str, path: os.PathLike[str] | str) -> str:
    """Return how a path below a place is written."""
    text = os.fsencode(path).replace(b"%", b"%25").decode("utf-8", "surrogateescape")
    escaped = re.sub("[\udc80-\udcff]", lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)
    return f"{place}/{escaped}"


def meant(path: str) -> tuple[str, str]:
    """Return place and path of what `told` wrote."""
    place, _, rest = path.partition("/")
    return place, os.fsdecode(unquote_to_bytes(rest))


def _safe(path: str) -> bool:
    """Return whether a path stays where it belongs: sticks are handed around."""
    place, rest = meant(path)
    parts = PurePosixPath(rest).parts
    plain = bool(parts) and ".." not in parts and not rest.startswith("/") and "\0" not in rest
    return place in {DATA, ETC} and plain and str(PurePosixPath(rest)) == rest
