"""The command `andon backup`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from services.running import LEFT, settings
from services.runtime import config as configuration
from services.runtime import foreign
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import AndonError, Rejected
from services.terminal import print_json, say, tell

if TYPE_CHECKING:
    from services.backup.making import Made

OK, FAILED = 0, 1
ETC = Path("/etc/andon")
LAST = "backup.json"
"""In the data folder: how the last backup went, for `andon doctor` and other programs."""
_EVERY_S = 0.1
_MB = 2**20


class Last(msgspec.Struct, kw_only=True):
    """How backups went lately."""

    made: str = ""
    """When the last one was complete, RFC 3339 UTC; empty before the first."""
    to: str = ""
    """Its file."""
    failed: str = ""
    """When the last try failed, empty where it did not."""
    reason: str = ""
    """Why."""


def declare(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command."""
    backup = command("backup", _backup, "Back up everything while it runs; look at backups.")
    backup.add_argument(
        "folder", nargs="?", type=Path, metavar="DEST", help="where to; default: backup.folder"
    )
    what = backup.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the backups there")
    what.add_argument("--check", action="store_true", help="read every backup there to its end")
    what.add_argument(
        "--units",
        nargs="?",
        type=Path,
        const=Path("/etc/systemd/system"),
        metavar="DIR",
        help="tell systemd of backup.stick_label and backup.at",
    )
    backup.add_argument("--keep", type=int, metavar="N", help="backups that stay (backup.keep)")
    backup.add_argument("--key-file", type=Path, metavar="FILE", help="encrypt with this key")
    backup.add_argument(
        "--with-secrets",
        action="store_true",
        help="passwords and keys too, though not encrypted",
    )
    backup.add_argument("--with-models", action="store_true", help="language models too")


class Meter:
    """Shows how far it is, on a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._shows = sys.stderr.isatty() and not quiet
        self._at = 0.0

    def show(self, name: str, done: int, total: int) -> None:
        """Show it, ten times a second at most."""
        if self._shows and (at := time.monotonic()) - self._at > _EVERY_S:
            self._at = at
            share = done / total if total else 1.0
            sys.stderr.write(
                f"\r\033[K{share:4.0%} {done / _MB:.0f} of {total / _MB:.0f} MB  {name[-48:]}"
            )
            sys.stderr.flush()

    def clear(self) -> None:
        """Make room for a line that stays."""
        if self._shows:
            sys.stderr.write("\r\033[K")


def _backup(options: argparse.Namespace) -> int:
    config = settings(options.config)
    if options.units:
        return _tell_systemd(options, config)
    folder = options.folder or (Path(config.backup.folder) if config.backup.folder else None)
    if folder is None:
        if os.environ.get("INVOCATION_ID"):  # the timer's: nobody asked for anything
            tell("backup.folder names no folder: nothing is backed up")
            return OK
        raise Rejected("back up", "no folder is named", "`andon backup DEST`, or set backup.folder")
    end_politely()
    if options.list or options.check:
        return _look(options, config, folder)
    last = last_of(config)
    meter = Meter(quiet=options.json)
    try:
        made = _make(options, config, folder, meter)
    except AndonError as error:
        meter.clear()
        _note(config, msgspec.structs.replace(last, failed=now(), reason=str(error)))
        raise
    meter.clear()
    _note(config, Last(made=made.head.made, to=made.path))
    if options.json:
        print_json(made)
    else:
        _tell_made(made, folder, config)
    return OK


def _make(options: argparse.Namespace, config: Config, folder: Path, meter: Meter) -> Made:
    from services.backup import making, quiet  # noqa: PLC0415

    quiet.step_back()
    etc, file = _configured(options.config)
    return making.make(
        making.Wanted(
            data=config.data_dir.absolute(),
            inbox=config.inbox_dir.absolute(),
            etc=etc,
            config=file,
            to=folder.absolute(),
            andon=version("andon"),
            key_file=_key_file(options, config),
            secrets=options.with_secrets,
            models=options.with_models or config.backup.models,
            keep=config.backup.keep if options.keep is None else max(1, options.keep),
        ),
        meter.show,
    )


def _configured(named: str | None) -> tuple[Path | None, Path | None]:
    """Return the folder of the configuration, or its file where it lies by itself."""
    path = configuration.find(named)
    if path is None or path.name == LEFT:
        return None, None  # what `andon up` leaves is made anew
    path = path.absolute()
    return (ETC, None) if path.parent == ETC else (None, path if path.is_file() else None)


def _key_file(options: argparse.Namespace, config: Config) -> Path | None:
    named: Path | None = options.key_file
    return named or (Path(config.backup.key_file) if config.backup.key_file else None)


def _tell_made(made: Made, folder: Path, config: Config) -> None:
    from services.backup import place  # noqa: PLC0415

    head = made.head
    if made.cut_off:
        tell("A backup before this one was cut off: what was left of it is used or deleted.")
    tell(
        f"{made.path}\n{head.documents} documents, {head.files} files, {head.size / _MB:.1f} MB"
        f" checked; {made.written / _MB:.1f} MB of them new here"
    )
    for line in made.left_out:
        tell(f"left out: {line}")
    for name in made.deleted:
        tell(f"deleted, as there are newer ones: {name}")
    if not head.secrets:
        tell("Passwords and keys are not in it: that takes --key-file FILE, or --with-secrets.")
    if place.same_disk(folder, config.data_dir):
        tell("It is on the same disk as the data: lost with that, copy it elsewhere.")


def _look(options: argparse.Namespace, config: Config, folder: Path) -> int:
    from services.backup import finding  # noqa: PLC0415
    from services.backup.vault import Vault  # noqa: PLC0415

    vaults = Vault.all_in(folder)
    backups = [one for vault in vaults for one in vault.backups()]
    faults: dict[str, list[str]] = {}
    if options.check:
        key, meter = _key_file(options, config), Meter(quiet=options.json)
        for one in backups:
            if one.head is None:
                faults[str(one.path)] = [one.fault]
                continue
            found = finding.find(one.path, key if one.head.lock else None)
            if broken := finding.verify(found, meter.show, mend=True):
                faults[str(one.path)] = broken
        meter.clear()
    if options.json:
        rows = [
            {
                "path": str(one.path),
                "head": one.head,
                "faults": faults.get(str(one.path), [one.fault] if one.fault else []),
                "checked": options.check,
            }
            for one in backups
        ]
        print_json(rows)
    else:
        for one in backups:
            tell(f"{one.path}  {_line(one.head)}")
            for fault in faults.get(str(one.path), []):
                tell(f"  {fault}")
            if options.check and str(one.path) not in faults:
                tell("  whole")
        if not backups:
            tell(f"no backup in {folder}")
    return FAILED if faults or any(one.fault for one in backups) else OK


def _line(head: Any) -> str:
    if head is None:
        return "DAMAGED"
    parts = [
        head.made,
        head.box,
        f"{head.documents} documents",
        f"{head.size / _MB:.1f} MB",
        "encrypted" if head.lock else "not encrypted",
        "with secrets" if head.secrets else "without secrets",
        f"Andon {head.andon}",
    ]
    return ", ".join(parts)


def _tell_systemd(options: argparse.Namespace, config: Config) -> int:
    from services.backup import units  # noqa: PLC0415

    folder: Path = options.units
    backup = config.backup
    try:
        for old in folder.glob("dev-disk-by*.wants/*"):
            if old.name == units.STICK:
                old.unlink()
        for name in units.ALL:
            (folder / name).unlink(missing_ok=True)
        for name, text in units.drop_ins(backup.stick_label, backup.at).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if backup.stick_label:
            link = folder / units.wants(backup.stick_label)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"/etc/systemd/system/{units.STICK}")
    except OSError as error:
        raise Rejected(
            "tell systemd", f"{error.filename or folder}: {error.strerror}", "be root"
        ) from error
    tell(
        f"written to {folder}; now: `systemctl daemon-reload`, and `systemctl"
        f" {'enable' if backup.at else 'disable'} --now {units.TIMER}`"
    )
    return OK


def last_of(config: Config) -> Last:
    """Return how the last backup went."""
    try:
        return msgspec.json.decode((config.data_dir / LAST).read_bytes(), type=Last)
    except (OSError, msgspec.MsgspecError):
        return Last()  # none was made yet, or nobody knows any more


def _note(config: Config, last: Last) -> None:
    """Leave a word about this backup."""
    path = config.data_dir / LAST
    try:
        for left in config.data_dir.glob(foreign.unfinished(LAST)):
            left.unlink()
        foreign.put(path, msgspec.json.encode(last), mode=0o644)
    except OSError as error:
        say(f"{path} could not be written: {error.strerror}")


def end_politely() -> None:
    """Clean up when told to stop."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
