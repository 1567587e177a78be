"""What the alarm logic wants, as rows and messages (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from schemas.channels import ALARM, ANSWER, DISPLAY, FLOOD
from services.orchestrator.effects import (
    Answer,
    Effect,
    Escalate,
    Forgotten,
    Front,
    Publish,
    PublishFlood,
    Repeat,
    TakeBack,
)
from services.orchestrator.records import Again, Deeds, Outgoing, Work


def deeds(
    effects: Sequence[Effect],
    prefix: str,
    trace: str,
    work: Callable[[Answer | Repeat], Work | None],
) -> Deeds:
    """Return what the effects mean.

    Args:
        effects: what the alarm logic wants, in order.
        prefix: of Andon's topics.
        trace: W3C trace id of the report, empty for what time brought about.
        work: makes the work of an alarm; returns None where the report is about another.
    """
    done = Deeds()
    for effect in effects:
        match effect:
            case Answer(front=front):
                new = work(effect)
                done.works += [(new, front)] if new else []
            case Repeat(asset=asset, alarm=alarm, front=front, retain=stands):
                answer_id, lost = alarm.answer_id, work(effect)
                done.again.append(Again(asset, answer_id, alarm, front, stands, lost))
            case Escalate(asset=asset, alarm=alarm):
                done.urgent.append((asset, alarm.answer_id, alarm))
            case Front(asset=asset, answer_id=answer_id):
                done.fronts.append((asset, answer_id))
            case Publish(asset=asset, alarm=alarm, retain=retain):
                done.cleared += [(asset, alarm.answer_id)] if alarm.state == "cleared" else []
                done.outgoing.append(
                    Outgoing(
                        topic=ALARM.topic(prefix, asset=asset),
                        payload=ALARM.encode(alarm),
                        retain=retain,
                        content_type=ALARM.content_type,
                        trace=trace,
                    )
                )
            case PublishFlood(area=area, flood=flood):
                done.outgoing.append(
                    Outgoing(
                        topic=FLOOD.topic(prefix, area=area),
                        payload=FLOOD.encode(flood),
                        retain=FLOOD.retain,
                        content_type=FLOOD.content_type,
                        trace=trace,
                    )
                )
            case TakeBack(asset=asset, alarm=told):
                done.outgoing += [
                    Outgoing(topic=channel.topic(prefix, asset=asset), payload=b"", retain=True)
                    for channel in (ANSWER, DISPLAY, *([ALARM] if told else []))
                ]
            case Forgotten():
                done.forgotten.append(effect)
    return done
