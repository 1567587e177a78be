"""`andon broker prepare | care`: for the units of a box, not for people."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from services import broker_box
from services.broker_box import Places
from services.runtime import config as configuration
from services.terminal import print_json, tell

OK = 0


def declare(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    commands = commands.add_parser(
        "broker", help="What systemd does before the box's broker starts, and while it runs."
    ).add_subparsers(metavar="COMMAND", required=True)
    usual = Places()
    for name, run, help_ in (
        ("prepare", _prepare, "Write the broker's configuration and set a damaged file aside."),
        ("care", _care, "Have it write after each message while the orchestrator is away."),
    ):
        sub = commands.add_parser(name, parents=[common], help=help_, description=help_)
        sub.set_defaults(run=run)
        for option, path in (
            ("--etc", usual.etc),
            ("--state", usual.state),
            ("--run-dir", usual.run),
            ("--connected", usual.connected),
        ):
            sub.add_argument(option, type=Path, default=path, metavar="PATH", help=f"({path})")


def _places(options: argparse.Namespace) -> Places:
    return Places(
        etc=options.etc, state=options.state, run=options.run_dir, connected=options.connected
    )


def _prepare(options: argparse.Namespace) -> int:
    config = configuration.load(configuration.find(options.config))
    told = broker_box.prepare(_places(options), config)
    if options.json:
        print_json({"told": told})
    else:
        for line in told:
            tell(line)
    return OK


def _care(options: argparse.Namespace) -> int:
    became = broker_box.care(_places(options))
    if options.json:
        print_json({"became": became})
    elif became:
        tell(f"The broker is {became}.")
    return OK
