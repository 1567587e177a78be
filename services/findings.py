"""What `andon doctor` makes of what it sees (pure)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from schemas.health import ServiceStatus

Level = Literal["ok", "note", "problem"]

_GIB = 1 << 30
_MIB = 1 << 20
_FREE_LEAST, _FREE_LITTLE = 200 * _MIB, _GIB
"""Bytes of disk with which next to nothing can be done, and with which a few manuals can."""
_INODES_LEAST = 1000
_NOT_FOR_SQLITE = {
    "vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "9p",
}  # fmt: skip
"""File systems without the locks or the order of writes that SQLite and its WAL need
(https://www.sqlite.org/wal.html, "Disadvantages")."""
_BACK_S = 120.0
"""Files of the future by less than this come from rounding and slow shares."""
_RELEASED = 1_767_225_600.0
"""1 January 2026, Unix time: a clock before is that of a box without a battery."""
_BACKUP_DAYS = 3.0
"""One a day is usual; a weekend may lie between."""
_CERTIFICATE_DAYS = 30.0
"""Before its end a certificate is to be renewed."""
_BOX_LEAST = 0.08
"""Share of the box's memory that should be free to take."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    level: Level
    """`problem`: something does not work; `note`: something may not for long."""
    about: str
    """What was looked at, a word or two."""
    said: str
    """What was seen."""
    hint: str = ""
    """What to do; empty where there is nothing to do."""


def ok(about: str, said: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(level="ok", about=about, said=said)


def note(about: str, said: str, hint: str) -> Finding:
    """Return a finding that is worth a look."""
    return Finding(level="note", about=about, said=said, hint=hint)


def problem(about: str, said: str, hint: str) -> Finding:
    """Return a finding that something does not work."""
    return Finding(level="problem", about=about, said=said, hint=hint)


def disk(path: str, *, free: int, total: int, inodes: int, kind: str) -> Iterator[Finding]:
    """Judge the file system of the data folder.

    Args:
        path: of the folder.
        free: bytes that can be written.
        total: bytes it has.
        inodes: files that can be made; negative where the file system does not count them.
        kind: of the file system, as /proc/mounts names it; empty where that is unknown.
    """
    said = f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB free for {path}"
    hint = "remove what is not needed (`andon remove`, old backups), or set `data` to a larger disk"
    if free < _FREE_LEAST:
        yield problem("disk", f"{said}: faults are no longer taken when it is full", hint)
    elif free < _FREE_LITTLE:
        yield note("disk", said, hint)
    else:
        yield ok("disk", said)
    if 0 <= inodes < _INODES_LEAST:
        yield problem("disk", f"room for {inodes} more files at {path}", "remove small files")
    if kind in _NOT_FOR_SQLITE:
        yield problem(
            "disk",
            f"{path} is on {kind}, on which databases break at a power cut",
            "set `data` to a folder on a local ext4, btrfs or xfs file system",
        )


def clock(now: float, newest: float, *, synchronised: bool | None) -> Iterator[Finding]:
    """Judge the box's clock.

    Args:
        now: what it says, Unix time.
        newest: when the newest file of the data folder was written, Unix time; 0: there is none.
        synchronised: whether the system says it follows a time server; None: it does not say.
    """
    hint = (
        "set it: `timedatectl set-time`, or name a time server of the plant for systemd-timesyncd"
    )
    if now < _RELEASED:
        yield problem("clock", "it says a time before this Andon was made", hint)
    elif newest > now + _BACK_S:
        ahead = (newest - now) / 60
        yield problem("clock", f"it went back: the newest file is {ahead:.0f} minutes ahead", hint)
    elif synchronised is False:
        yield note("clock", "it follows no time server: times of faults drift", hint)
    else:
        yield ok("clock", "set" if synchronised is None else "follows a time server")


def memory(available: int, total: int, budgets_mb: float) -> Finding:
    """Judge the box's memory; bytes, and MiB of all services' budgets together."""
    said = f"{available // _MIB} of {total // _MIB} MiB can be had"
    if available < _BOX_LEAST * total:
        hint = "end other programs, or use a smaller language model (`andon model list`)"
        return problem("memory", f"{said}: the next process may be killed", hint)
    if budgets_mb * _MIB > total:
        hint = "choose the profile of this box's size, or lower retriever.budget_mb"
        return note("memory", f"{said}, and the services may take {budgets_mb:.0f} MiB", hint)
    return ok("memory", said)


def service(
    name: str, status: ServiceStatus | None, *, version: str, systemd: bool
) -> Iterator[Finding]:
    """Judge what a service last said of itself.

    Args:
        name: its name.
        status: its last word; None where it was never heard of.
        version: of Andon that is installed.
        systemd: whether systemd runs the services here.
    """
    unit = f"andon-{name.replace('_', '-')}"
    start = (
        f"`systemctl start {unit}`; `journalctl -u {unit}` says why" if systemd else "`andon up`"
    )
    if status is None:
        yield problem(name, "was never heard of at this broker", start)
        return
    if status.facts.get("resting"):
        yield ok(name, "rests until there is work")
        return
    if status.state in {"offline", "stopping"}:
        yield problem(name, status.reason or status.state, start)
        return
    if status.state == "degraded":
        yield problem(name, status.reason, "see what it says; it tries again by itself")
    else:
        yield ok(name, f"{status.state}, {status.memory_mb:.0f} of {status.budget_mb:.0f} MiB")
    if version not in {status.version, "0+source"} and status.version:
        yield problem(
            name,
            f"runs version {status.version}, {version} is installed",
            f"`systemctl restart {unit}`" if systemd else "end `andon up` and start it again",
        )
    if status.memory_mb > status.budget_mb > 0:
        hint = f"raise {name}.budget_mb if the box has room; a unit is ended at its MemoryMax"
        yield note(name, f"takes {status.memory_mb:.0f} of {status.budget_mb:.0f} MiB", hint)
    disputed = status.facts.get("client_id_disputed")
    if disputed:
        yield problem(
            name,
            f"another client uses its id at the broker: {disputed}",
            "end the other Andon, or give it another `prefix`",
        )


def model(facts: Mapping[str, str | int | float | bool], *, url: str) -> Finding:
    """Judge the language model by the bridge's facts."""
    if not url:
        return ok("model", "none is configured: answers come from the passages alone")
    if not facts.get("reachable"):
        return problem(
            "model",
            str(facts.get("unreachable") or f"its server does not answer at {url}"),
            str(facts.get("mend") or "is llama-server running?")
            + "; `andon model list` shows the models",
        )
    if facts.get("breaker") == "open":
        return problem(
            "model",
            "it failed several times in a row and is being spared",
            "the status of llm_bridge says why; a smaller model may help (`andon model list`)",
        )
    return ok("model", f"{facts.get('model')} with {facts.get('context')} tokens a request")


def unit(name: str, *, state: str, result: str, restarts: int) -> Finding | None:
    """Judge a unit of systemd's; None where it is not meant to run."""
    logs = f"`journalctl -u {name} -n 50` says why"
    if state == "failed":
        return problem(name, f"failed ({result})", logs)
    if state not in {"active", "reloading", "activating"}:
        return None
    if restarts:
        return note(name, f"was started again {restarts} times since it was loaded", logs)
    return ok(name, state)


def port(number: int, *, tls: bool, open_: bool) -> Finding:
    """Judge a port of the broker's that the plant is meant to use."""
    kind = "with TLS" if tls else "without TLS: who listens in the network reads passwords"
    if open_:
        return ok("port", f"{number}, {kind}")
    hint = "`systemctl status andon-broker`; `andon access init` changes the ports"
    return problem("port", f"nobody listens on {number} ({kind})", hint)


def certificate(name: str, ends: float, hint: str, *, now: float) -> Finding:
    """Judge how long a certificate is good for.

    Args:
        name: its file.
        ends: when it ends, Unix time.
        hint: how it is renewed.
        now: Unix time.
    """
    about, days = "certificate", (ends - now) / 86400
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if days <= 0:
        return problem(about, f"{name} ended on {day}: nobody who looks at it connects", hint)
    if days < _CERTIFICATE_DAYS:
        return note(about, f"{name} ends on {day}, in {days:.0f} days", hint)
    return ok(about, f"{name} is good until {day}")


def backup(made: float, failed: str, reason: str, *, now: float) -> Finding:
    """Judge the backups that are made by themselves.

    Args:
        made: when the last one was complete, Unix time; 0: never.
        failed: when the last try failed, empty where it did not.
        reason: why.
        now: Unix time.
    """
    if failed:
        return problem("backup", f"failed at {failed}: {reason}", "`andon backup` tries it again")
    if not made:
        hint = "`andon backup` makes the first; `systemctl list-timers andon-backup.timer`"
        return note("backup", "none was made yet", hint)
    days = (now - made) / 86400
    if days > _BACKUP_DAYS:
        hint = "`systemctl list-timers andon-backup.timer` says when the next is due"
        return problem("backup", f"the last one is {days:.0f} days old", hint)
    return ok("backup", f"the last one is {days * 24:.0f} hours old")


def private(path: str, mode: int, *, secret: bool) -> Finding | None:
    """Judge who may read a file or folder, None where nobody may that should not.

    Args:
        path: its path.
        mode: its permission bits.
        secret: whether a password or key is in it.
    """
    if not mode & 0o007 or not (secret or mode & 0o002):
        return None
    what = "everybody on this box may read it" if secret else "everybody on this box may change it"
    return problem("permissions", f"{path}: {what}", f"`chmod o-rwx {path}`")
