"""The command `andon restore`."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from services import limits
from services.backups import ETC, OK, Meter, end_politely
from services.runtime import config as configuration
from services.runtime.config import Config
from services.runtime.errors import Fatal
from services.terminal import print_json, tell

if TYPE_CHECKING:
    from services.backup.hardware import Fitted

TMPFILES = Path("/usr/local/lib/tmpfiles.d/andon.conf")
UNITS = Path("/usr/local/lib/systemd/system")
"""Where install.sh puts them."""


def declare(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command."""
    restore = command("restore", _restore, "Bring everything back from a backup.")
    restore.add_argument(
        "backup", type=Path, metavar="BACKUP", help="a .backup file, or a folder: its newest"
    )
    restore.add_argument("--to", type=Path, metavar="DATA", help="data folder; default: data")
    restore.add_argument(
        "--etc",
        type=Path,
        metavar="DIR",
        help="where the configuration goes; default: /etc/andon, and nowhere with --to",
    )
    restore.add_argument("--key-file", type=Path, metavar="FILE", help="the key of the backup")
    restore.add_argument(
        "--force", action="store_true", help="set aside what is in the data folder"
    )
    restore.add_argument(
        "--with-profile",
        action="store_true",
        help="the backup's profile too: threads and budgets; by default this box keeps its own",
    )


def _restore(options: argparse.Namespace) -> int:
    from services.backup import finding, restoring  # noqa: PLC0415

    config = _box_config(options)
    data = (options.to or config.data_dir).absolute()
    etc = options.etc or (None if options.to else ETC)
    end_politely()
    meter = Meter(quiet=options.json)
    try:
        found = finding.find(options.backup.absolute(), options.key_file, _usual_key(config))
        finding.fit(found, _schemas())
        finding.whole(found, meter.show)
        done = restoring.restore(
            found,
            data,
            etc,
            force=options.force,
            progress=meter.show,
            with_profile=options.with_profile,
        )
    finally:
        meter.clear()
    if done.etc == str(ETC):
        _fit_box()
    if options.json:
        print_json(done)
        return OK
    tell(f"{done.data}: brought back as of {done.head.made}, {done.head.documents} documents")
    if done.etc:
        tell(f"{done.etc}: the configuration is brought back")
    elif any(entry.path.startswith("etc/") for entry in found.manifest.entries):
        tell("Its configuration was not brought back: --etc DIR says where to.")
    if done.fitted:
        tell(_of_profiles(done.fitted))
    if not done.head.secrets:
        tell("Passwords and keys are not in this backup: those of this box stay.")
    for folder in done.aside:
        tell(f"What was there before is in {folder}")
    return OK


def _of_profiles(fitted: Fitted) -> str:
    if fitted.known:
        return (
            f"This box keeps its profile, {fitted.own} (the backup's is {fitted.former};"
            " --with-profile takes that): threads and budgets are its own, what was changed by"
            " hand came along."
        )
    has = f"is {fitted.former}, which this Andon does not know" if fitted.former else "is not in it"
    return (
        f"This box keeps its profile, {fitted.own}. The backup's {has}: threads and budgets that"
        " its config.yaml names came along, look through them."
    )


def _fit_box() -> None:
    """Make the folders and the units' limits of an installed box what its new files ask for.

    Raises:
        Fatal: systemd's tools fail, or the limits cannot be written.
    """
    if not TMPFILES.exists():
        return  # not installed by install.sh
    config = configuration.load(ETC / "config.yaml")
    limits.write(UNITS, config, limits.profile_of(limits.PROFILE))
    for command in (
        ["systemd-tmpfiles", "--create", str(TMPFILES)],
        ["systemctl", "daemon-reload"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Fatal("restore", f"{' '.join(command)}: {done.stderr.strip()}", "call it again")


def _box_config(options: argparse.Namespace) -> Config:
    """Return the configuration of this box; a fresh one may have none."""
    return configuration.load(configuration.find(options.config))


def _usual_key(config: Config) -> Path | None:
    path = Path(config.backup.key_file)
    return path if config.backup.key_file and path.is_file() else None


def _schemas() -> dict[str, int]:
    """Return the newest schema of each database this Andon knows."""
    from services.backup.snapshot import CORPUS, LEDGER, LIBRARY  # noqa: PLC0415
    from services.ingest.library import MIGRATIONS as LIBRARY_SCHEMA  # noqa: PLC0415
    from services.orchestrator.ledger import MIGRATIONS as LEDGER_SCHEMA  # noqa: PLC0415
    from services.retriever.statements import MIGRATIONS as CORPUS_SCHEMA  # noqa: PLC0415

    return {
        LEDGER: len(LEDGER_SCHEMA),
        CORPUS: len(CORPUS_SCHEMA),
        LIBRARY: len(LIBRARY_SCHEMA),
    }
