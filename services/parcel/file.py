"""The file of a collection: a zip that any program opens, with a signed list of what is in it."""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from services.parcel import contents, keys
from services.parcel.contents import Batch, Document, Part, Signature
from services.runtime.errors import Rejected, Retryable

_CHUNK = 2**20
_LONGEST_LIST = 64 * 2**20
_LONGEST_BATCH = 2**23
"""Bytes; a message on the bus takes less."""
_LENGTH = struct.Struct("<I")
_AFRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, RuntimeError, ValueError)
"""What zipfile raises where bytes were changed; RuntimeError where they say it is encrypted."""


class Writer:
    """Writes one; the list comes last."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def file(self, name: str, source: Path, sha256: str) -> Part:
        """Add a file.

        Raises:
            Rejected: it is not what its hash says.
        """
        with source.open("rb") as file:
            part = self._add(name, iter(lambda: file.read(_CHUNK), b""), zipfile.ZIP_STORED)
        if part.sha256 != sha256:
            raise Rejected(
                "export", f"the original {source} was changed by the disk", "add the document again"
            )
        return part

    def batches(self, name: str, batches: Iterable[Batch]) -> Part:
        """Add passages, as they come."""
        return self._add(name, map(_framed, batches), zipfile.ZIP_DEFLATED)

    def close(self, listed: contents.Collection, box: keys.Box) -> None:
        """Add list and signature."""
        data = msgspec.json.format(msgspec.json.encode(listed))
        signature = Signature(key=box.public, signature=box.sign(data))
        self._archive.writestr(contents.LIST, data)
        self._archive.writestr(contents.SIGNATURE, msgspec.json.encode(signature))

    def _add(self, name: str, slices: Iterable[bytes], how: int) -> Part:
        digest, size = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name)
        info.compress_type = how
        with self._archive.open(info, "w", force_zip64=True) as target:
            for data in slices:
                digest.update(data)
                size += len(data)
                target.write(data)
        return Part(name=name, size=size, sha256=digest.hexdigest())


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write a file that is there whole or not at all.

    Raises:
        Retryable: the disk is full, gone or failing.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        try:
            with new.open("wb") as file:
                with zipfile.ZipFile(file, "w") as archive:
                    yield Writer(archive)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Retryable(
            "export", f"{error.filename or path}: {error.strerror}", "look at that disk"
        ) from error


class Reader:
    """Reads one that was found to be what somebody trusted signed."""

    def __init__(self, archive: zipfile.ZipFile, listed: contents.Collection, key: str) -> None:
        self._archive = archive
        self.listed = listed
        """What it holds."""
        self.key = key
        """Who signed it."""

    def unpack(self, part: Part, target: Path) -> None:
        """Write a file of it that everybody may read. Raises OSError, Rejected."""
        with (
            _told(only_reads=False),
            self._archive.open(part.name) as source,
            # A link that lies there, where the folder is another user's, is not followed.
            os.fdopen(os.open(target, _AFRESH, 0o644), "wb") as file,
        ):
            os.fchmod(file.fileno(), 0o644)
            while data := source.read(_CHUNK):
                file.write(data)

    def batches(self, document: Document) -> Iterator[Batch]:
        """Yield the passages of a document.

        Raises:
            Rejected: they are none.
        """
        with _told(), self._archive.open(document.batches.name) as source:
            while head := source.read(_LENGTH.size):
                (length,) = _LENGTH.unpack(head)
                if length > _LONGEST_BATCH:
                    raise Rejected("import", f"{document.file}: a batch of {length} bytes")
                yield _decode(source.read(length))

    def check(self, progress: Callable[[str], None]) -> None:
        """Read all of it.

        Raises:
            Rejected: something was changed, is missing, or is not on the list.
        """
        parts = [part for one in self.listed.documents for part in (one.original, one.batches)]
        named = {contents.LIST, contents.SIGNATURE, *(part.name for part in parts)}
        there = self._archive.namelist()
        if set(there) != named or len(there) != len(named):
            raise _changed("it does not hold what its list says")
        for part in {part.name: part for part in parts}.values():
            progress(part.name)
            with _told(), self._archive.open(part.name) as source:
                if _digest(source, part.size) != part.sha256:
                    raise _changed(f"{part.name} is not what was signed")


@contextmanager
def reading(path: Path, trusted: Collection[str] | None) -> Iterator[Reader]:
    """Open a file, and see whose it is.

    Args:
        path: the file.
        trusted: public keys; None to look only, whoever signed it.

    Raises:
        Rejected: it is none, was changed, or nobody signed it who is trusted.
        Fatal: a newer Andon wrote it.
    """
    if not path.is_file():
        raise Rejected("import", f"{path} is no file", "name a file that is there")
    with _told():
        archive = zipfile.ZipFile(path)
    with archive:
        with _told():
            data, signature = _signed(archive, path)
        listed = contents.read_list(data)
        believed = [signature.key] if trusted is None else trusted
        keys.check(data, signature.key, signature.signature, believed)
        yield Reader(archive, listed, signature.key)


def _signed(archive: zipfile.ZipFile, path: Path) -> tuple[bytes, Signature]:
    """Return the list of a file as bytes, and the signature of it."""
    names = set(archive.namelist())
    if contents.LIST not in names:
        raise Rejected("import", f"{path} is no collection of Andon's")
    if contents.SIGNATURE not in names:
        raise Rejected("import", f"{path} is not signed", "have it made by `andon export`")
    data = _limited(archive, contents.LIST)
    return data, _signature(_limited(archive, contents.SIGNATURE))


@contextmanager
def _told(*, only_reads: bool = True) -> Iterator[None]:
    """Tell what zipfile raises; also of the disk where none but this file is touched."""
    try:
        yield
    except _BROKEN as error:
        raise _changed(str(error)) from error
    except OSError as error:
        if not only_reads:
            raise
        raise _changed(str(error)) from error


def _changed(why: str) -> Rejected:
    return Rejected("import", f"the file was changed or cut off: {why}", "have it sent once more")


def _limited(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as source:
        data = source.read(_LONGEST_LIST + 1)
    if len(data) > _LONGEST_LIST:
        raise _changed(f"{name} is too large")
    return data


def _signature(data: bytes) -> Signature:
    try:
        return msgspec.json.decode(data, type=Signature)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _changed(f"its signature cannot be read: {error}") from error


def _digest(source: IO[bytes], size: int) -> str:
    """Return the hash of what is read; not more than was signed, whatever it unpacks to."""
    digest, left = hashlib.sha256(), size + 1
    while left > 0 and (data := source.read(min(_CHUNK, left))):
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


def _framed(batch: Batch) -> bytes:
    data = msgspec.msgpack.encode(batch)
    return _LENGTH.pack(len(data)) + data


def _decode(data: bytes) -> Batch:
    try:
        return msgspec.msgpack.decode(data, type=Batch)
    except msgspec.MsgspecError as error:
        raise Rejected("import", f"a batch of passages cannot be read: {error}") from error
