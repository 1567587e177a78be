"""What the alarm logic wants done: it decides, the service does."""

from __future__ import annotations

import msgspec

from schemas.faults import Alarm, Flood


class _Effect(msgspec.Struct, frozen=True, tag=True):
    """One thing to do; `asset` and `key` name the alarm it is about."""


class Answer(_Effect, frozen=True):
    """New work is wanted, under the alarm's answer id."""

    asset: str
    key: str
    alarm: Alarm
    front: bool = False
    """First out of a flood: before all others of its priority."""


class Repeat(_Effect, frozen=True):
    """The standing answer, the alarm's answer id, is to be published again."""

    asset: str
    key: str
    alarm: Alarm
    front: bool = False
    """As in Answer, where no answer stands any more and new work is made."""
    retain: bool = True
    """As in Publish."""


class Escalate(_Effect, frozen=True):
    """Work of the alarm's answer id that is still open gets the alarm's priority."""

    asset: str
    key: str
    alarm: Alarm


class Front(_Effect, frozen=True):
    """Work of this answer id that is still open goes before all others of its priority."""

    asset: str
    key: str
    answer_id: str


class Publish(_Effect, frozen=True):
    """The alarm is to be published."""

    asset: str
    key: str
    alarm: Alarm
    retain: bool = True
    """Not where a more urgent alarm of the asset stands: there is one topic an asset."""


class PublishFlood(_Effect, frozen=True):
    """The flood is to be published, retained."""

    area: str
    flood: Flood


class TakeBack(_Effect, frozen=True):
    """Retained answer and display of the asset are to be removed."""

    asset: str
    alarm: bool = False
    """The retained alarm as well: it stands, but nobody would ever say that it is gone."""


class Forgotten(_Effect, frozen=True):
    """There were too many alarms, and this one made room; to be logged."""

    asset: str
    key: str
    alarm: Alarm


Effect = Answer | Repeat | Escalate | Front | Publish | PublishFlood | TakeBack | Forgotten
