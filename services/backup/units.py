"""What systemd is told of the configured stick and time: drop-ins for deploy/systemd (pure)."""

from __future__ import annotations

from collections.abc import Mapping

MOUNT = "run-andonstick.mount"
STICK = "andon-backup-stick.service"
TIMER = "andon-backup.timer"
_LABEL, _AT = f"{MOUNT}.d/50-label.conf", f"{TIMER}.d/50-at.conf"
ALL = (_LABEL, _AT)
"""What `drop_ins` may have written before."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.")


def device_of(label: str) -> str:
    """Return the unit that systemd makes when a stick of this label is put in.

    udev escapes what is unusual in a label once, systemd the path made of it a second time.
    """
    return f"dev-disk-by\\x2dlabel-{_escaped(_link(label))}.device"


def drop_ins(label: str, at: str) -> Mapping[str, str]:
    """Return files by their path below /etc/systemd/system.

    Args:
        label: of the stick's file system; empty: no stick.
        at: time of the day, `02:30`; empty: no time.
    """
    files = {}
    if label:
        files[_LABEL] = (
            "# Written by `andon backup --units` from backup.stick_label.\n"
            f"[Mount]\nWhat=/dev/disk/by-label/{_link(label).replace('%', '%%')}\n"
        )
    if at:
        files[_AT] = (
            "# Written by `andon backup --units` from backup.at.\n"
            f"[Timer]\nOnCalendar=\nOnCalendar=*-*-* {at}:00\n"
        )
    return files


def wants(label: str) -> str:
    """Return the link that starts the backup when the stick is put in, below the same folder."""
    return f"{device_of(label)}.wants/{STICK}"


def _link(label: str) -> str:
    """Return the name of the link in /dev/disk/by-label, as udev makes it of a label."""
    return "".join(
        char if char in _PLAIN or char in "#+-=@" or ord(char) > 127 else f"\\x{ord(char):02x}"
        for char in label
    )


def _escaped(text: str) -> str:
    """Return what `systemd-escape` makes of a part of a path."""
    return "".join(
        char if char in _PLAIN else "".join(f"\\x{byte:02x}" for byte in char.encode())
        for char in text
    )
