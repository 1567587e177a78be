"""Reports of faults at simulated times."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.faults import Alarm, Fault, Priority
from services.runtime.clock import stamp

EPOCH = 1_800_000_000.0
"""Where simulated time begins, s since 1970: whole, so that sums with whole seconds are exact."""


def written(at: float) -> str:
    """Return a simulated time, s after EPOCH, as text."""
    return stamp(datetime.fromtimestamp(EPOCH + at, UTC))


def fault(
    code: str = "E1",
    *,
    asset: str = "plant/motor7",
    priority: Priority = "warning",
    cleared: bool = False,
    text: str = "",
    at: float = 0.0,
) -> Fault:
    """Return a report."""
    return Fault(
        asset=asset,
        code=code,
        text=text,
        question=f"Fault {code}{text}",
        lang="en",
        priority=priority,
        state="cleared" if cleared else "active",
        topic=f"{asset}/fault",
        received=written(at),
    )


def brief(alarm: Alarm) -> str:
    """Return the marks of an alarm: `active 3 chattering`."""
    marks = [alarm.state, str(alarm.occurrences)]
    marks += ["chattering"] if alarm.chattering else []
    return " ".join(marks + (["stale"] if alarm.stale else []))
