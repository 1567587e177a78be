"""Bring a backup back that was found whole.

The files are written beside the data, and put in place by renaming; what was there before is set
aside. A restore that is cut off while it writes has changed nothing; one that is cut off while it
renames is finished by the next, and no service starts until then.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from services.backup import hardware
from services.backup.contents import MODELS
from services.backup.finding import Found, verify
from services.backup.making import Progress
from services.backup.manifest import DATA, ETC, Entry, Head, meant, told
from services.backup.snapshot import checked
from services.runtime import foreign
from services.runtime.errors import Rejected, Retryable
from services.runtime.unfinished import COMPLETE, RESTORING, believe

ASIDE = "before-restore-"
"""Begin of the folder where lies what was there before."""
_RESTORE = "restore"
_STAYS = frozenset({"broker", "lost+found"})
"""In the data folder and not ours: the broker's own, and what a file system has."""
# Where SQLite locks a file that a connection in WAL mode has open: SHARED_FIRST and SHARED_SIZE in
# https://www.sqlite.org/src/file/src/os.h
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought back."""

    backup: str
    """Its file."""
    head: Head
    """What it is."""
    data: str
    """The data folder."""
    etc: str
    """Folder of the configuration; empty where that was not brought back."""
    aside: list[str]
    """Where lies what was there before."""
    fitted: hardware.Fitted | None = None
    """From which profile to which, where the configuration was fitted to this box."""


class _Plan(msgspec.Struct, frozen=True):
    """What is left to do once everything is written."""

    etc: str
    stamp: str
    entries: list[Entry]
    """The configuration's files, for their rights."""


def in_use(data: Path) -> str:
    """Return which database of a folder is open in another process; empty where none is."""
    for path in sorted(data.glob("*.db")):
        with path.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
            except OSError:
                return path.name
    return ""


def restore(
    found: Found,
    data: Path,
    etc: Path | None,
    *,
    force: bool,
    progress: Progress,
    with_profile: bool = False,
) -> Restored:
    """Bring a backup back.

    Args:
        found: the backup, see `finding.whole`.
        data: the data folder, made if need be.
        etc: folder for the configuration; None: it is not brought back.
        force: whether what is there is set aside.
        progress: told how far it is.
        with_profile: whether the box's profile becomes that of the backup.

    Raises:
        Rejected: there is something already, services run there, or the backup broke meanwhile.
        Retryable: the disk is full or failing.
    """
    with_etc = [e for e in found.manifest.entries if e.path.startswith(f"{ETC}/")] if etc else []
    plan = _Plan(
        etc=str(etc) if with_etc else "",
        stamp=datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        entries=with_etc,
    )
    try:
        aside = finish(data)  # another restore may have been cut off
        data.mkdir(mode=0o750, parents=True, exist_ok=True)
        _refuse(data, force=force)
        _clear(data / RESTORING)
        try:
            # Whoever runs the services looks for the mark in it.
            with foreign.made(data, RESTORING, 0o711) as staging:
                _write(found, staging, with_etc=bool(with_etc), progress=progress)
                keeps = etc if with_etc and not with_profile else None
                fitted = hardware.keep(staging / ETC, keeps) if keeps else None
                plan.entries.extend(_as_it_was(plan.entries) if fitted else [])
                _settle(staging, data.stat())
                _leave(staging / COMPLETE, msgspec.json.encode(plan))
        except BaseException:
            if not (data / RESTORING / COMPLETE).exists():
                _clear(data / RESTORING)
            raise
        aside += finish(data)
    except OSError as error:
        raise Retryable(
            _RESTORE,
            f"{error.filename or data}: {error.strerror}",
            "what was there before is not lost; look at the disk, and start the restore once more",
        ) from error
    return Restored(
        backup=str(found.backup.path),
        head=found.head,
        data=str(data),
        etc=plan.etc,
        aside=aside,
        fitted=fitted,
    )


def finish(data: Path) -> list[str]:
    """Put in place what a restore wrote to its end; return where lies what was there before.

    Nothing where no restore got that far. Raises OSError.
    """
    staging = data / RESTORING
    mark = staging / COMPLETE
    if not mark.exists():
        return []
    believe(staging)
    plan = msgspec.json.decode(mark.read_bytes(), type=_Plan)
    aside = [data / f"{ASIDE}{plan.stamp}"]
    _swap(staging / DATA, data, aside[0])
    if plan.etc:
        aside.append(Path(plan.etc) / f"{ASIDE}{plan.stamp}")
        _configure(staging, Path(plan.etc), aside[1], plan.entries)
    mark.unlink()
    _sync(staging)
    shutil.rmtree(staging)
    _sync(data)
    return [str(folder) for folder in aside if folder.exists()]


def _refuse(data: Path, *, force: bool) -> None:
    if name := in_use(data):
        raise Rejected(
            _RESTORE,
            f"services run on {data}: {name} is open",
            "end them first: `systemctl stop andon.target`, or Ctrl-C for `andon up`",
        )
    there = sorted(path.name for path in data.iterdir() if _ours(path.name))
    if there and not force:
        raise Rejected(
            _RESTORE,
            f"{data} is not empty: {', '.join(there[:3])}",
            "name another folder with --to, or set what is there aside with --force",
        )


def _ours(name: str) -> bool:
    return name not in {*_STAYS, RESTORING} and not name.startswith(ASIDE)


def _write(found: Found, staging: Path, *, with_etc: bool, progress: Progress) -> None:
    """Write all files beside the data, checked once more as they are read."""

    def target(entry: Entry) -> Path | None:
        place, rest = meant(entry.path)
        if place == ETC and not with_etc:
            return None
        path = staging / place / rest
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        return path

    for place in (DATA, ETC):
        (staging / place).mkdir(mode=0o700)
    if faults := verify(found, progress, target):
        raise Rejected(_RESTORE, f"the backup broke meanwhile: {faults[0]}", "nothing was changed")
    for name in found.manifest.schemas:
        checked(staging / DATA / name)
    for entry in found.manifest.entries:
        path = target(entry)
        if path is not None:
            path.chmod(entry.mode)
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def _as_it_was(entries: list[Entry]) -> list[Entry]:
    """Return what has the configuration as it was in the backup put beside that of the box."""
    name, beside = told(ETC, hardware.CONFIG), told(ETC, hardware.RESTORED)
    return [msgspec.structs.replace(one, path=beside) for one in entries if one.path == name]


def _settle(staging: Path, owner: os.stat_result) -> None:
    """Give all to the owner of the data folder, and have the names on the disk.

    Folders last: nobody else gets at what is in one as long as that is ours.
    """
    if os.geteuid() == 0:
        for where, _, names in os.walk(staging / DATA, topdown=False):
            for path in (*(Path(where) / name for name in names), Path(where)):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    for where, _, _ in os.walk(staging):
        _sync(Path(where))


def _swap(source: Path, target: Path, old: Path) -> None:
    """Put the files of a folder into another one; what is there is set aside.

    All of it: old vectors beside a new corpus would be wrong. But for language models, where the
    backup has none: it does not need others than those there are. What was done before this was cut
    off is not done again.
    """
    begun = source.with_name("begun")
    if not begun.exists():
        for path in list(target.iterdir()):
            stays = path.name == MODELS and not (source / MODELS).exists()
            if _ours(path.name) and not stays:
                _aside(path, old)
        _sync(target)
        _leave(begun, b"")
    for path in list(source.iterdir()):
        there = target / path.name
        if there.exists():
            _aside(there, old)  # made by a program that did not know
        path.replace(there)
    _sync(target)


def _aside(path: Path, old: Path) -> None:
    old.mkdir(mode=0o700, exist_ok=True)
    target, number = old / path.name, 1
    while target.exists():
        target, number = old / f"{path.name}.{number}", number + 1
    path.replace(target)


def _configure(staging: Path, target: Path, old: Path, entries: list[Entry]) -> None:
    """Put the files of the configuration in place one by one; others that are there stay.

    It may lie on another disk than the data, where renaming does not lead.
    """
    target.mkdir(mode=0o755, parents=True, exist_ok=True)
    for entry in entries:
        rest = meant(entry.path)[1]
        source, path, aside = staging / ETC / rest, target / rest, old / rest
        if not source.exists():
            continue  # done before it was cut off
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if path.exists() and not aside.exists():
            old.mkdir(mode=0o700, exist_ok=True)
            aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(path, aside)
        new = path.with_name(f".new-{path.name}")
        shutil.copyfile(source, new)
        new.chmod(entry.mode)
        if os.geteuid() == 0:
            os.chown(new, _number(entry.owner, of_group=False), _number(entry.group, of_group=True))
        _sync(new)
        new.replace(path)
        _sync(path.parent)
        source.unlink()


def _number(name: str, *, of_group: bool) -> int:
    """Return the number of a user or group; -1, which changes nothing, where there is none."""
    try:
        return grp.getgrnam(name).gr_gid if of_group else pwd.getpwnam(name).pw_uid
    except KeyError:
        return -1


def _leave(path: Path, data: bytes) -> None:
    """Write a mark that is there whole or not at all."""
    new = path.with_name(f".new-{path.name}")
    new.write_bytes(data)
    _sync(new)
    new.replace(path)
    _sync(path.parent)


def _clear(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    """Have a file or the names in a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
