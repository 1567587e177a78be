"""How the commands speak: to people, and to programs."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


def tell(line: str = "") -> None:
    """Print a line a person asked for."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say(line: str) -> None:
    """Say something to a person, beside what was asked for."""
    sys.stderr.write(f"{line}\n")


def print_json(value: Any) -> None:
    """Print a value for programs."""
    tell(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
