"""Make a backup while everything runs."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from services.backup import contents, manifest, place, reading, staging
from services.backup.chunks import CHUNK, Chunks
from services.backup.contents import Source
from services.backup.manifest import DATA, ETC, Entry, Head, Manifest, told
from services.backup.quiet import forget
from services.backup.seal import Plain, Seal, Sealed, new_lock, read_key, seal_for
from services.backup.snapshot import LIBRARY, Moment, moment
from services.backup.staging import Staging
from services.backup.vault import Vault, outdated
from services.runtime.clock import stamp
from services.runtime.errors import Retryable

_BACK_UP = "back up"

Progress = Callable[[str, int, int], None]
"""Told what is being copied, bytes done, bytes in all."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to back up, and where to."""

    data: Path
    """The data folder."""
    inbox: Path
    """The inbox."""
    etc: Path | None
    """Folder of the configuration."""
    config: Path | None
    """The configuration, where it lies in no such folder."""
    to: Path
    """Folder for the backups."""
    andon: str
    """Version of this Andon."""
    key_file: Path | None = None
    """Encrypts."""
    secrets: bool = False
    """Whether passwords and keys are taken without encryption as well."""
    models: bool = False
    """Whether language models are taken."""
    keep: int = 7
    """Backups that stay, this one included."""
    box: str = field(default_factory=socket.gethostname)
    """Name of the computer."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made."""

    path: str
    """Its file."""
    head: Head
    """What it is."""
    written: int
    """Bytes written; what former backups have is not written again."""
    deleted: list[str]
    """Former backups that went."""
    cut_off: bool
    """Whether the one before was cut off; what was left of it is gone or used."""
    left_out: list[str]
    """What could not be taken, a sentence each."""


def make(wanted: Wanted, progress: Progress) -> Made:
    """Make a backup.

    Raises:
        Rejected: it cannot be made there, or not with this key.
        Retryable: a disk is full, gone or failing.
        Damaged: a database is damaged.
        Fatal: a newer Andon made backups there, or PyNaCl is missing.
    """
    place.refuse(wanted.to, wanted.data)
    with place.on(wanted.to, _BACK_UP):
        wanted.to.mkdir(exist_ok=True)
        vault = Vault(wanted.to / Vault.box_name(wanted.box))
        vault.prepare()
        there, lock = vault.lock_of()
    if there:
        seal = seal_for(lock, wanted.key_file, str(vault.folder))
    else:
        seal = Sealed(new_lock(), read_key(wanted.key_file)) if wanted.key_file else Plain()
    with place.on(wanted.to, _BACK_UP), vault.working() as cut_off:
        job = _Job(wanted, vault, seal, progress)
        with closing(job):
            return job.run(cut_off)


class _Job:
    """One backup on its way."""

    def __init__(self, wanted: Wanted, vault: Vault, seal: Seal, progress: Progress) -> None:
        self._wanted = wanted
        self._vault = vault
        self._seal = seal
        self._progress = progress
        self._steady = place.Steady(vault.folder)
        self._chunks: Chunks = vault.chunks(seal)
        self._entries: list[Entry] = []
        self._used: set[str] = set()
        self._left_out: list[str] = []
        self._deleted: list[str] = []
        self._before = self._former()
        self._done = self._total = 0
        try:
            staging.clear(wanted.data)
            self._staging = Staging(wanted.data)
        except OSError as error:
            raise self._local(error) from error

    def close(self) -> None:
        """Leave nothing in the data folder."""
        self._staging.close()

    def run(self, cut_off: bool) -> Made:
        """Make it."""
        wanted, made = self._wanted, datetime.now(UTC)
        with moment(wanted.data) as held:
            schemas, documents = self._databases(held)
        library = self._staging.folder / LIBRARY if LIBRARY in schemas else None
        secrets = wanted.secrets or self._seal.lock is not None
        sources = self._sources(library, secrets=secrets)
        self._total += sum(reading.size(source) for source in sources)
        for source in sources:
            self._take(source)
        head = Head(
            andon=wanted.andon,
            box=wanted.box,
            made=stamp(made),
            files=len(self._entries),
            size=sum(entry.size for entry in self._entries),
            documents=documents,
            secrets=secrets,
            models=wanted.models,
            lock=self._seal.lock,
        )
        listed = Manifest(schemas=schemas, entries=self._entries, left_out=self._left_out)
        path = self._publish(made, manifest.encode(head, listed, self._seal))
        return Made(
            path=str(path),
            head=head,
            written=self._chunks.written,
            deleted=self._deleted,
            cut_off=cut_off,
            left_out=self._left_out,
        )

    def _former(self) -> dict[tuple[str, int, int], Entry]:
        """Return what the newest backup has: what did not change since need not be read."""
        for one in reversed(self._vault.backups()):
            if one.head is not None:
                entries = self._vault.read(one, self._seal).entries
                return {(e.path, e.size, e.mtime_ns): e for e in entries}
        return {}

    def _databases(self, held: Moment) -> tuple[dict[str, int], int]:
        """Copy them and take the copies; that of the library stays, to be asked."""
        schemas: dict[str, int] = {}
        documents = 0
        self._total = sum(held.size(name) for name in held.names)
        for name in held.names:
            self._room(held.size(name))
            schemas[name] = held.copy(name, self._staging, self._steady.look)
            try:
                copy = self._staging.open(name)
            except OSError as error:
                raise self._local(error) from error
            source = Source(path=self._staging.folder / name, name=told(DATA, name))
            with copy:
                self._enter(source, (self._wanted.data / name).stat(), self._read(source, copy))
            if name == LIBRARY:
                documents = contents.documents(source.path)
            else:
                self._staging.remove(name)
        return schemas, documents

    def _room(self, size: int) -> None:
        free = shutil.disk_usage(self._wanted.data).free
        if free < size:
            raise Retryable(
                _BACK_UP,
                f"{self._wanted.data} has {free / 2**20:.0f} MB free; a database of"
                f" {size / 2**20:.0f} MB is copied there first",
                "make room in the data folder",
            )

    def _sources(self, library: Path | None, *, secrets: bool) -> list[Source]:
        wanted = self._wanted
        return [
            *contents.originals(wanted.data, library),
            *contents.data_files(wanted.data, wanted.inbox, keys=secrets, models=wanted.models),
            *contents.configuration(wanted.etc, wanted.config, secrets=secrets),
        ]

    def _take(self, source: Source) -> None:
        """Copy a file; what is gone, or is not what it should be, is left out, and told."""
        if source.text is not None:
            self._enter(source, source.path.stat(), self._parts(iter([source.text])))
            return
        try:
            file = reading.opened(source.path, self._wanted.data, self._wanted.etc)
        except OSError as error:
            self._left_out.append(f"{source.path}: {error.strerror}")
            return
        with file:
            status = os.fstat(file.fileno())
            known = self._before.get((source.name, status.st_size, status.st_mtime_ns))
            if known is not None and self._still_there(known):
                self._entries.append(known)
                self._used.update(known.chunks)
                self._step(source.name, known.size)
                return
            read = self._read(source, file)
        digest = read[1]
        if source.sha256 and source.sha256 != digest:
            self._left_out.append(
                f"{source.path}: the disk changed this original (add its document again)"
            )
            return
        self._enter(source, status, read)

    def _still_there(self, entry: Entry) -> bool:
        """Return whether all of a former backup's file can be used again."""
        left = entry.size
        for name in entry.chunks:
            if not self._chunks.holds(name, min(CHUNK, left)):
                return False
            left -= CHUNK
        return True

    def _read(self, source: Source, file: io.FileIO) -> tuple[int, str, list[str]]:
        """Keep an open file; it leaves the cache to others."""
        read = self._parts(reading.slices(file.fileno(), source.path), source.name)
        forget(file.fileno())
        return read

    def _parts(self, slices: Iterator[bytes], name: str = "") -> tuple[int, str, list[str]]:
        """Keep what comes; return its size, its SHA-256, and the names of its parts."""
        digest = hashlib.sha256()
        size, names = 0, []
        for data in slices:
            digest.update(data)
            size += len(data)
            names.append(self._put(data))
            self._used.add(names[-1])
            self._step(name, len(data))
        return size, digest.hexdigest(), names

    def _put(self, data: bytes) -> str:
        """Keep a part; where there is no room the oldest backups go, the last one never."""
        while True:
            self._steady.look()
            try:
                return self._chunks.put(data)
            except OSError as error:
                if not place.is_full(error) or not self._drop_oldest():
                    raise

    def _drop_oldest(self) -> bool:
        backups = self._vault.backups()
        whole = [one for one in backups if one.head is not None]
        if len(whole) < 2:
            # What was left by one that was cut off may still be in the way.
            return self._vault.tidy(self._seal, self._chunks, self._used) > 0
        whole[0].path.unlink()
        self._deleted.append(whole[0].path.name)
        self._vault.tidy(self._seal, self._chunks, self._used)
        return True

    def _enter(
        self, source: Source, status: os.stat_result, read: tuple[int, str, list[str]]
    ) -> None:
        size, digest, names = read
        whose = source.name.startswith(f"{ETC}/")
        self._entries.append(
            Entry(
                path=source.name,
                size=size,
                sha256=digest,
                mode=stat.S_IMODE(status.st_mode),
                mtime_ns=status.st_mtime_ns,
                owner=reading.user(status.st_uid) if whose else "",
                group=reading.group(status.st_gid) if whose else "",
                chunks=names,
            )
        )

    def _publish(self, made: datetime, data: bytes) -> Path:
        """Write the list, and let go what it takes the place of."""
        vault = self._vault
        self._steady.look()
        vault.settle()
        backups = vault.backups()
        number = max((one.number for one in backups), default=0) + 1
        path = vault.publish(number, made.strftime("%Y%m%dT%H%M%SZ"), data)
        for one in outdated(vault.backups(), self._wanted.keep):
            one.path.unlink()
            self._deleted.append(one.path.name)
        vault.tidy(self._seal, self._chunks)
        vault.settle()
        return path

    def _step(self, name: str, size: int) -> None:
        self._done += size
        self._progress(name, self._done, max(self._total, self._done))

    def _local(self, error: OSError) -> Retryable:
        return Retryable(
            _BACK_UP,
            f"{self._wanted.data}: {error.strerror}",
            "a database is copied there first: look at its disk and its rights",
        )
