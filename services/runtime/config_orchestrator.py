"""The part of config.yaml about what happens to a fault."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from schemas.answers import Language
from schemas.faults import Priority
from services.runtime.config_values import Positive, Seconds

Hours = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z",
        description="a time of the day from and to, such as 22:00-06:00",
    ),
]


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages are faults, and where in them things are."""

    topic: Annotated[str, msgspec.Meta(min_length=1)]
    """Topic filter; `+` and `#` allowed."""
    format: Literal["json", "sparkplug"] = "json"
    """`json`: objects, plain text and numbers. `sparkplug`: Sparkplug B, where `code`, `text`,
    `severity` and `state` name metrics."""
    asset: str = ""
    """Template for the asset: `{1}` is the first topic level, `{machine.id}` a value of the
    payload. Empty: the topic without its last level; Sparkplug: `<group>/<edge>[/<device>]`."""
    question: str = ""
    """Template for what the manuals are asked: `{asset}`, `{code}`, `{text}`, values of the
    payload. Empty: made from code and text."""
    code: tuple[str, ...] = (
        "code",
        "fault_code",
        "error_code",
        "alarm_code",
        "fault",
        "error",
        "alarm",
    )
    """Where in the JSON the fault code is: dotted paths, the first that exists counts."""
    text: tuple[str, ...] = ("text", "message", "msg", "description")
    """Where the machine's own words are."""
    severity: tuple[str, ...] = ("severity", "priority", "level")
    """Where the severity is."""
    state: tuple[str, ...] = ("state", "status", "active")
    """Where it says whether the fault came or went."""
    cleared: tuple[str, ...] = (
        "cleared",
        "clear",
        "inactive",
        "ok",
        "off",
        "gone",
        "reset",
        "false",
        "0",
    )
    """Values of `state`, in lower case, that mean the fault is gone."""
    priorities: dict[str, Priority] = {}
    """Values of `severity`, in lower case, and their priority; the usual words are known."""
    priority: Priority = "warning"
    """Priority where the payload says none."""
    lang: Language | None = None
    """Language of the answers; default `lang` of the orchestrator."""


class Alarms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an alarm chatters, is stale or gone, and when many are a flood.

    Terms and usual limits are those of ISA-18.2 and IEC 62682.
    """

    chatter_transitions: Annotated[int, msgspec.Meta(ge=2, le=100)] = 3
    """As many raises and clears within `chatter_window_s` are chatter."""
    chatter_window_s: Seconds = 60.0
    """Time they are counted over, s."""
    chatter_quiet_s: Seconds = 300.0
    """An alarm that neither came nor went for this long no longer chatters, s."""
    stale_after_s: Seconds = 86_400.0
    """An active alarm that nobody reported for this long is stale, s."""
    take_back_s: Seconds = 300.0
    """How long answer and display stand after the last alarm of an asset cleared, s."""
    flood_more_than: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """More new alarms than this within `flood_window_s` begin a flood."""
    flood_fewer_than: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    """Fewer than this end it."""
    flood_window_s: Seconds = 600.0
    """Time they are counted over, s."""
    flood_update_s: Seconds = 10.0
    """The count of a flood that goes on is told this often at most, s."""
    area_levels: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    """So many first levels of the asset are its area; 0: all but the last."""
    most: Annotated[int, msgspec.Meta(ge=100)] = 10_000
    """Alarms remembered; cleared ones make room first, then stale ones, then the least urgent."""


class Night(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that are prepared while the language model has nothing else to do."""

    enabled: bool = True
    """Whether any are."""
    hours: tuple[Hours, ...] = ()
    """When, by the box's own clock, such as `22:00-06:00`; none: at any time."""
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Share of the time the model may work at it: the rest is rest, for heat and power."""
    after_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    """Seconds without other work before it begins."""


class Orchestrator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to a fault."""

    triggers: tuple[Trigger, ...] = (Trigger(topic="plant/+/fault"),)
    """Which messages are faults."""
    lang: Language = "en"
    """Language of answers to faults whose trigger says none and whose text has none."""
    deadline_s: Seconds = 60.0
    """After this long an answer goes out with what there is."""
    passages: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    """Passages cited by an answer at most."""
    use_model: bool = True
    """Whether the language model is asked at all."""
    grounded_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """An answer of the model of whose statements fewer are supported by the passages they cite is
    published with `grounded` false and the manuals' own words beside it; 1: all must be."""
    max_payload_kb: Positive = 64
    """Larger messages are rejected, KiB."""
    reuse_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    """A model's answer is given to other alarms for this long where code, passages and manuals are
    the same; 0: never. Repetitions of an alarm have its answer for as long as it stands."""
    answer_topics: tuple[str, ...] = ("#",)
    """Topics, outside Andon's own, on which an asker may have a copy of its answer: `answer_to`
    and MQTT 5 response topics. Anything else is refused."""
    answers_stand_s: Positive = 604_800
    """Seconds after which the broker forgets a retained answer and display (a week)."""
    workers: Positive = 8
    """Answers worked on at the same time."""
    lease_s: Seconds = 30.0
    """A job whose worker said nothing for this long is taken up again."""
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 90
    """Days after which faults and answers leave the ledger for a file in `<data>/history`."""
    history_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    """Days after which such a file is deleted; 0: never."""
    alarms: Alarms = Alarms()
    """When an alarm chatters, is stale or gone, and when many are a flood."""
    night: Night = Night()
    """Which answers are prepared before they are needed."""
    budget_mb: Positive = 64
    """Memory it should stay under, MiB."""
