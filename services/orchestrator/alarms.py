"""What a reported fault does to the alarm that stands (pure)."""

from __future__ import annotations

import msgspec

from schemas.faults import Alarm, Fault


def apply(alarm: Alarm | None, fault: Fault) -> Alarm:
    """Return the alarm after a report: raised, counted once more, or cleared.

    A fault that comes back after it was cleared is a new alarm and counts from 1.

    Args:
        alarm: the alarm of this asset and code as it stood, None where there was none.
        fault: the report.
    """
    if fault.state == "cleared":
        if alarm is None:
            return _raised(fault, state="cleared")
        return msgspec.structs.replace(alarm, state="cleared", last_seen=fault.received)
    if alarm is None or alarm.state == "cleared":
        return _raised(fault, state="active")
    return msgspec.structs.replace(
        alarm,
        occurrences=alarm.occurrences + 1,
        last_seen=fault.received,
        priority=fault.priority,
    )


def _raised(fault: Fault, *, state: str) -> Alarm:
    return msgspec.convert(
        {
            "code": fault.code,
            "state": state,
            "priority": fault.priority,
            "occurrences": 1,
            "first_seen": fault.received,
            "last_seen": fault.received,
            "chattering": False,
            "answer_id": "",
        },
        Alarm,
    )
