"""Faults and alarms: what machines report and what stands because of it."""

from __future__ import annotations

from typing import Literal

import msgspec

Priority = Literal["critical", "warning", "advice"]
"""Alarm priority, most urgent first (ISA-18.2 calls for few of them)."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault as understood from a PLC's message; how it is kept in the ledger."""

    asset: str
    """The machine: topic levels, `plant/motor7`."""
    code: str = ""
    """Fault code as sent, empty when the message has none."""
    text: str = ""
    """The machine's own words, empty when there are none."""
    question: str
    """What the manuals are asked."""
    lang: Literal["en", "zh"]
    """Language of the answer."""
    priority: Priority = "warning"
    """How urgent."""
    state: Literal["active", "cleared"] = "active"
    """Raised, or gone again."""
    topic: str
    """Topic it came on."""
    received: str
    """When it was received, RFC 3339 UTC."""
    trace: str = ""
    """W3C trace id, 32 hexadecimal digits."""


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """The standing state of one code on one asset: retained on `andon/alarm/<asset>`."""

    code: str
    """Fault code, empty when the machine sent only text."""
    state: Literal["active", "cleared"]
    """Whether the fault stands."""
    priority: Priority
    """How urgent."""
    occurrences: int
    """How often it was reported since it was first seen, at least 1."""
    first_seen: str
    """First report, RFC 3339 UTC."""
    last_seen: str
    """Latest report, RFC 3339 UTC."""
    chattering: bool
    """Whether it comes and goes too fast to be worth a look each time."""
    stale: bool = False
    """Whether it is active and was not reported for so long that it may be forgotten."""
    answer_id: str
    """Id of the standing answer, empty until there is one."""


class Flood(msgspec.Struct, frozen=True, kw_only=True):
    """More alarms than a person can read: retained on `andon/flood/<area>`."""

    active: bool
    """Whether the flood goes on."""
    since: str
    """When it began, RFC 3339 UTC."""
    alarms_in_window: int
    """New alarms in the counting window."""
    first_out: str
    """Asset and code of the alarm that came first, `plant/motor7 E005`."""
