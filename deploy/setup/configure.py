"""Writes a box's config.yaml out of a profile: `configure.py PROFILE`, or `--choose` one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

PROFILES = Path(__file__).resolve().parents[1] / "profiles"
_MEMINFO = Path("/proc/meminfo")
_HEAD = """\
# Configuration of this box, made by install.sh out of the profile {profile}.
# All keys with their meaning and default: /opt/andon/current/deploy/config.example.yaml
# After a change: andon config check, then systemctl restart andon.target
# A file that was changed stays as it is when Andon is upgraded.

"""
_BOX: dict[str, Any] = {
    "data": "/var/lib/andon",
    "broker": {
        "url": "unix:///run/andon/broker.sock",
        "username": "{service}",
        "password_file": "$CREDENTIALS_DIRECTORY/broker",
    },
}
"""What is so on every box."""


def profiles() -> dict[str, dict[str, Any]]:
    """Return all profiles by name, that for the least memory first."""
    read = {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in PROFILES.glob("*.yaml")}
    return dict(sorted(read.items(), key=lambda item: int(item[1]["up_to_mb"])))


def fitting(memory_mb: int) -> str:
    """Return the profile for a box with so much memory."""
    return next(name for name, p in profiles().items() if memory_mb <= p["up_to_mb"])


def configuration(profile: str) -> str:
    """Return the text of config.yaml."""
    data = {**_BOX, **profiles()[profile]["config"]}
    return _HEAD.format(profile=profile) + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _memory_mb() -> int:
    lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    total = next(line for line in lines if line.startswith("MemTotal:"))
    return int(total.split()[1]) // 1024


if __name__ == "__main__":
    asked = sys.argv[1]
    sys.stdout.write(fitting(_memory_mb()) + "\n" if asked == "--choose" else configuration(asked))
