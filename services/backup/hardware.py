"""What of a configuration belongs to the box it is on, and not to the one it was backed up from.

The profile says what threads, memory and budgets a box of its kind has. A restore on other hardware
keeps the profile that install.sh chose there: what config.yaml has from the former one becomes what
the box's own says, and what a person changed comes along as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

PROFILES = Path(__file__).resolve().parents[2] / "deploy" / "profiles"
OWN = ("profile", "profile.yaml", "node", ".installed")
"""In the configuration's folder: what install.sh chose and noted for this very box."""
CONFIG = "config.yaml"
RESTORED = "config.yaml.restored"
"""Beside config.yaml, where that was fitted: as it was in the backup."""


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration was fitted from and to."""

    former: str
    """The backup's profile; empty where it had none."""
    own: str
    """The box's."""
    known: bool
    """Whether this Andon has the former one, which tells its values from a person's."""


def keep(restored: Path, etc: Path) -> Fitted | None:
    """Leave a box its own; fit the configuration that is to be restored to it.

    Args:
        restored: folder of the configuration as it is in the backup; changed.
        etc: that of the box.

    Returns:
        From which profile to which it was fitted; None where it was not.

    Raises:
        OSError: a file cannot be written.
    """
    own, former = _profile(etc), _profile(restored)
    if not own:
        return None  # none was chosen here
    for name in OWN:
        path = restored / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    config = restored / CONFIG
    if own == former or not config.exists():
        return None
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        return None  # as broken as it was: the services say what is wrong with it
    if not isinstance(values, dict):
        return None
    before = _values(former)
    fitted = fit(values, before, _values(own))
    head = f"# From a backup, fitted to the profile {own}; as it was there: {RESTORED}\n"
    text = head + yaml.safe_dump(fitted, sort_keys=False, allow_unicode=True)
    config.rename(restored / RESTORED)
    config.touch(mode=0o600)
    config.write_text(text, encoding="utf-8")
    return Fitted(former=former, own=own, known=bool(before))


def fit(
    config: Mapping[str, Any], former: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a configuration with the values of another profile (pure).

    Args:
        config: made of the profile `former`, and changed since.
        former: its values.
        own: those of the profile it is to have.
    """
    fitted: dict[str, Any] = {}
    for key, value in config.items():
        before, now = former.get(key), own.get(key)
        if isinstance(value, Mapping):
            inner = fit(value, _mapping(before), _mapping(now))
            if inner or not value:
                fitted[key] = inner
        elif key not in former or value != before:
            fitted[key] = value
        elif key in own:
            fitted[key] = now
    return fitted | {key: value for key, value in own.items() if key not in fitted}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _profile(etc: Path) -> str:
    try:
        return (etc / "profile").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _values(profile: str) -> dict[str, Any]:
    """Return what a profile writes into config.yaml; nothing where this Andon has no such one."""
    path = PROFILES / f"{Path(profile).name}.yaml"
    if not profile or not path.is_file():
        return {}
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["config"])
