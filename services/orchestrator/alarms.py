"""What a reported fault, or time that passes, does to one alarm (pure).

Terms are those of ISA-18.2 and IEC 62682. Times are seconds, of a clock that does not step
back; an earlier one counts as no time passed. A window holds what is younger than its length.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Literal

import msgspec
from msgspec.structs import replace

from schemas.faults import Alarm, Fault, Priority
from services.orchestrator.effects import Answer, Effect, Escalate, Publish, Repeat, TakeBack
from services.runtime.config import Alarms as Limits

RANK: dict[Priority, int] = {"critical": 0, "warning": 1, "advice": 2}
"""The most urgent first."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm and what is remembered of it: a row of the ledger."""

    asset: str
    """The machine."""
    key: str
    """What tells it from other alarms of the machine, see `key_of`."""
    alarm: Alarm
    """As it is published."""
    seen_at: float
    """Latest report, s."""
    turns: tuple[float, ...]
    """When it last came and went, newest last, s; as many as make it chatter."""
    shown: bool = True
    """Whether its answer may stand on the topics of the asset."""
    gone: bool = False
    """Whether the last report said that it is gone, which is not told while it chatters."""
    heard: int = 0
    """Number of the latest change that was told: of two alarms, the higher one is the later."""

    @property
    def active(self) -> bool:
        """Return whether the fault stands."""
        return self.alarm.state == "active"


Step = tuple[Standing | None, list[Effect]]
"""The alarm afterwards, None where nothing needs to be remembered, and what is to be done."""


def key_of(fault: Fault) -> str:
    """Return the code; where there is none, what stands for the machine's words.

    Faults with different words are different alarms: one must not get the other's answer.
    """
    if fault.code:
        return fault.code
    words = " ".join((fault.text or fault.question).lower().split())
    return f"text:{blake2s(words.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def report(
    standing: Standing | None, fault: Fault, at: float, limits: Limits, *, answer_id: str
) -> Step:
    """Return the alarm after a report.

    Args:
        standing: the alarm of the fault's asset and key, None where there is none.
        fault: the report; a clear says which alarm by its code or text.
        at: when it came, s.
        limits: from the configuration.
        answer_id: for new work, should there be any.
    """
    if fault.state == "cleared":
        return _cleared(standing, fault, at, limits)
    if standing is None:
        return _raised(fault, at, (at,), answer_id)
    if standing.active and standing.alarm.chattering:
        return _counts_on(standing, fault, at, limits)
    if standing.active:
        return _repeated(standing, fault, at, answer_id)
    turns = _turned(standing.turns, at, limits)
    if standing.alarm.chattering or _chatters(turns, at, limits):
        return _held(standing, fault, turns)
    return _raised(fault, at, turns, answer_id)


def due(standing: Standing, limits: Limits) -> float | None:
    """Return when the alarm changes without a report, s; None for never."""
    turned, alarm = standing.turns[-1], standing.alarm
    quiet = turned + limits.chatter_quiet_s
    if standing.active:
        stale = standing.seen_at + limits.stale_after_s
        if alarm.chattering:
            return quiet if alarm.stale or standing.gone else min(quiet, stale)
        return None if alarm.stale else stale
    if alarm.chattering:
        return quiet  # nothing is taken away from an alarm that may be back in a moment
    if standing.shown:
        return turned + limits.take_back_s
    return turned + limits.chatter_window_s


def elapse(standing: Standing, at: float, limits: Limits) -> Step:
    """Return the alarm after the one change that is due; unchanged where none is.

    TakeBack says here that the answer of this alarm has stood long enough; other alarms of the
    asset may still need the place.
    """
    when = due(standing, limits)
    if when is None or at < when:
        return standing, []
    alarm = standing.alarm
    if alarm.chattering and at >= standing.turns[-1] + limits.chatter_quiet_s:
        state = "cleared" if standing.gone else alarm.state
        alarm = replace(alarm, state=state, chattering=False)
        calm = replace(standing, alarm=alarm, gone=False)
        told = _publish(calm)
        # Its answer may have been covered by another while it was held.
        return calm, [*told, _repeat(calm)] if calm.active else told
    if standing.active:
        stale = replace(standing, alarm=replace(alarm, stale=True))
        return stale, _publish(stale)
    if standing.shown:
        return replace(standing, shown=False), [TakeBack(standing.asset)]
    return None, []


def _raised(fault: Fault, at: float, turns: tuple[float, ...], answer_id: str) -> Step:
    new = Standing(
        asset=fault.asset,
        key=key_of(fault),
        alarm=_alarm(fault, "active", answer_id),
        seen_at=at,
        turns=turns,
    )
    return new, [*_publish(new), _answer(new)]


def _repeated(standing: Standing, fault: Fault, at: float, answer_id: str) -> Step:
    alarm = _counted(standing.alarm, fault)
    seen_at = max(at, standing.seen_at)
    if standing.alarm.stale:
        # Nobody waited for it any more: it is news again, and its answer is old.
        alarm = replace(alarm, priority=fault.priority, answer_id=answer_id)
        again = replace(standing, alarm=alarm, seen_at=seen_at, shown=True)
        return again, [*_publish(again), _answer(again)]
    again = replace(standing, alarm=alarm, seen_at=seen_at)
    return again, [*_publish(again), *_escalated(standing, again), _repeat(again)]


def _held(standing: Standing, fault: Fault, turns: tuple[float, ...]) -> Step:
    """It begins to chatter: it is held as active, the same alarm with the same answer.

    That may have been cut short when it went.
    """
    alarm = replace(_counted(standing.alarm, fault), state="active", chattering=True)
    held = replace(standing, alarm=alarm, seen_at=turns[-1], turns=turns, shown=True)
    return held, [*_publish(held), *_escalated(standing, held), _repeat(held)]


def _counts_on(standing: Standing, fault: Fault, at: float, limits: Limits) -> Step:
    """It chatters: what comes and goes is counted, and told only where it is more urgent."""
    turns = _turned(standing.turns, at, limits) if standing.gone else standing.turns
    alarm = _counted(standing.alarm, fault)
    seen_at = max(at, standing.seen_at)
    again = replace(standing, alarm=alarm, seen_at=seen_at, turns=turns, gone=False)
    news = alarm.priority != standing.alarm.priority or standing.alarm.stale
    return again, [*_publish(again), *_escalated(standing, again)] if news else []


def _cleared(standing: Standing | None, fault: Fault, at: float, limits: Limits) -> Step:
    if standing is None or not standing.active or standing.gone:
        return standing, []
    turns = _turned(standing.turns, at, limits)
    alarm = replace(standing.alarm, last_seen=fault.received, stale=False)
    if alarm.chattering or _chatters(turns, at, limits):
        alarm = replace(alarm, chattering=True)
        held = replace(standing, alarm=alarm, seen_at=turns[-1], turns=turns, gone=True)
        known = standing.alarm.chattering and not standing.alarm.stale
        return held, [] if known else _publish(held)
    alarm = replace(alarm, state="cleared")
    gone = replace(standing, alarm=alarm, seen_at=turns[-1], turns=turns)
    return gone, _publish(gone)


def _counted(alarm: Alarm, fault: Fault) -> Alarm:
    more_urgent = RANK[fault.priority] < RANK[alarm.priority]
    return replace(
        alarm,
        occurrences=alarm.occurrences + 1,
        last_seen=fault.received,
        priority=fault.priority if more_urgent else alarm.priority,
        stale=False,
    )


def _turned(turns: tuple[float, ...], at: float, limits: Limits) -> tuple[float, ...]:
    return (*turns, max(at, turns[-1]))[-limits.chatter_transitions :]


def _chatters(turns: tuple[float, ...], at: float, limits: Limits) -> bool:
    enough = len(turns) == limits.chatter_transitions
    return enough and at < turns[0] + limits.chatter_window_s


def _publish(standing: Standing) -> list[Effect]:
    return [Publish(standing.asset, standing.key, standing.alarm)]


def _answer(standing: Standing) -> Effect:
    return Answer(standing.asset, standing.key, standing.alarm)


def _repeat(standing: Standing) -> Effect:
    return Repeat(standing.asset, standing.key, standing.alarm)


def _escalated(before: Standing, after: Standing) -> list[Effect]:
    if before.alarm.priority == after.alarm.priority:
        return []
    return [Escalate(after.asset, after.key, after.alarm)]


def _alarm(fault: Fault, state: Literal["active", "cleared"], answer_id: str) -> Alarm:
    return Alarm(
        code=fault.code,
        state=state,
        priority=fault.priority,
        occurrences=1,
        first_seen=fault.received,
        last_seen=fault.received,
        chattering=False,
        answer_id=answer_id,
    )
