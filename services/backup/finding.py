"""Find a backup, and read all of it before it is believed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from services.backup.chunks import Broken, Chunks
from services.backup.making import Progress
from services.backup.manifest import Entry, Head, Manifest
from services.backup.seal import Seal, seal_for
from services.backup.vault import ENDING, Backup, Vault
from services.runtime.errors import Fatal, Rejected, Retryable

_RESTORE = "restore"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A backup that can be opened."""

    backup: Backup
    """Its file."""
    head: Head
    """What it is."""
    manifest: Manifest
    """Its files."""
    chunks: Chunks
    """Their parts."""
    seal: Seal
    """Opens them."""


def find(where: Path, key_file: Path | None, usual: Path | None = None) -> Found:
    """Open a backup.

    Args:
        where: its file, or a folder of which the newest is meant.
        key_file: its key; None where it is not encrypted.
        usual: the key where it is encrypted and none is named.

    Raises:
        Rejected: there is none, it is damaged, or the key is another one.
        Fatal: a newer Andon made it.
        Retryable: the disk fails.
    """
    try:
        vault, backup = _chosen(where)
        if backup.head is None:
            raise Rejected(_RESTORE, backup.fault, "restore another one: `andon backup --list`")
        key = key_file or (usual if backup.head.lock else None)
        seal = seal_for(backup.head.lock, key, str(backup.path))
        return Found(
            backup=backup,
            head=backup.head,
            manifest=vault.read(backup, seal),
            chunks=vault.chunks(seal),
            seal=seal,
        )
    except OSError as error:
        raise Retryable(
            _RESTORE, f"{error.filename or where}: {error.strerror}", "look at that disk"
        ) from error


def _chosen(where: Path) -> tuple[Vault, Backup]:
    if where.name.endswith(ENDING):
        vault = Vault(where.parent)
        there = [one for one in vault.backups() if one.path.name == where.name]
        if not there:
            raise Rejected(_RESTORE, f"{where} does not exist", "`andon backup --list` shows some")
        return vault, there[0]
    vaults = [vault for vault in Vault.all_in(where) if vault.backups()]
    if len(vaults) != 1:
        names = ", ".join(str(vault.folder) for vault in vaults)
        reason = (
            f"{where} has backups of several boxes: {names}" if vaults else f"no backup in {where}"
        )
        raise Rejected(_RESTORE, reason, "name one of them" if vaults else "name another folder")
    return vaults[0], vaults[0].backups()[-1]


def fit(found: Found, known: Mapping[str, int]) -> None:
    """Refuse databases that this Andon cannot read.

    Args:
        found: the backup.
        known: the newest schema of each database.

    Raises:
        Fatal: one is newer.
    """
    for name, version in found.manifest.schemas.items():
        if version > known.get(name, 0):
            raise Fatal(
                _RESTORE,
                f"{name} has schema {version}, this Andon knows {known.get(name, 0)}",
                f"install Andon {found.head.andon}, which made the backup, or a newer one",
            )


def verify(
    found: Found,
    progress: Progress,
    write: Callable[[Entry], Path | None] = lambda _: None,
    *,
    mend: bool = False,
) -> list[str]:
    """Read every file of a backup; return what is broken, a sentence each.

    Args:
        found: the backup.
        progress: told how far it is.
        write: says where a file is to be written; nowhere when it returns None.
        mend: whether broken parts are set aside, so that the next backup writes them anew.

    Raises:
        OSError: what is written does not fit.
    """
    faults: list[str] = []
    done = 0
    for entry in found.manifest.entries:
        target = write(entry)
        digest, size, before = hashlib.sha256(), 0, len(faults)
        with target.open("wb") if target else nullcontext() as file:
            for name in entry.chunks:
                try:
                    data = found.chunks.get(name)
                except Broken as error:
                    faults.append(f"{entry.path} is damaged: {error}")
                    if mend:
                        found.chunks.set_aside(name)
                    continue
                digest.update(data)
                size += len(data)
                done += len(data)
                progress(entry.path, done, max(found.head.size, done))
                if file:
                    file.write(data)
            if file:
                file.flush()
                os.fsync(file.fileno())
        if len(faults) == before and (digest.hexdigest(), size) != (entry.sha256, entry.size):
            faults.append(f"{entry.path} is damaged: its parts do not make it up")
    return faults


def whole(found: Found, progress: Progress) -> None:
    """Refuse a backup of which anything is broken.

    Raises:
        Rejected: it is; the file is named.
    """
    if faults := verify(found, progress):
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise Rejected(
            _RESTORE,
            f"{found.backup.path} is damaged: {'; '.join(faults[:5])}{more}",
            "nothing was changed; restore another one: `andon backup --list`",
        )
