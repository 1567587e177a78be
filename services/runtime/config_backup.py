"""The parts of config.yaml about backups, and collections from other boxes."""

from __future__ import annotations

from typing import Annotated

import msgspec

Time = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?\Z",
        description="a time of the day, such as 02:30, or empty",
    ),
]
Label = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^/\x00-\x1f]{0,64}\Z",
        description="the label of a file system, or empty",
    ),
]
Key = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{64}\Z",
        description="64 hexadecimal digits, as `andon export` tells them",
    ),
]


class Backup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where backups go, and how many stay."""

    folder: str = ""
    """Folder for `andon backup` without one, such as that of a mounted share; empty: none."""
    keep: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 7
    """Backups of this box that stay in a folder."""
    stick_label: Label = "ANDONBACKUP"
    """A stick of this label is backed up to when it is put in; empty: none is. FAT and exFAT have
    room for 11 characters."""
    key_file: str = ""
    """File with the key or passphrase that backups are encrypted with; empty: they are not."""
    models: bool = False
    """Whether language models are in them."""
    at: Time = "02:30"
    """When each day, by the box's own clock; empty: never."""


class Sharing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Collections from other boxes."""

    trusted_keys: tuple[Key, ...] = ()
    """Public keys of the boxes whose files are taken."""
