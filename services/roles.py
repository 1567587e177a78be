"""Which topics people and machines of the plant may publish and read, by role (pure)."""

from __future__ import annotations

import re
from typing import Literal, get_args

from schemas.channels import (
    ALARM,
    ANSWER,
    ASK,
    ASKED,
    DISPLAY,
    DOCUMENT,
    FEEDBACK,
    FLOOD,
    STATUS,
    STREAM,
)
from services.filters import meet
from services.rights import OWN, Rights, watching
from services.runtime.config import Config, Trigger
from services.runtime.rpc import client_id

Role = Literal["plc", "scanner", "dashboard", "admin", "metrics"]
ROLES: tuple[Role, ...] = get_args(Role)
MEANING: dict[Role, str] = {
    "plc": "reports faults, on the triggers' topics",
    "scanner": "asks, reads the answers to its questions and those of machines, says what helped",
    "dashboard": "reads answers, alarms, floods, documents and states",
    "admin": "asks, reports faults, reads all that people are meant to read",
    "metrics": "reads what is counted",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LEVEL = re.compile(r"\{([1-9]\d*)\}|[^{}/]+")
_COMMANDS = ("NCMD", "DCMD")
_SPOKEN = (ANSWER, DISPLAY, STREAM)
"""What an asker has of its own, at `ask/<client>` in place of the asset."""


def name_trouble(name: str, prefix: str) -> str:
    """Return why a user of the plant may not have this name; empty where it may.

    The broker gives each the name as client id, so it must not be a service's.
    """
    if not _NAME.fullmatch(name):
        return "allowed: letters, digits, `.`, `_` and `-`, 64 at most, a letter or digit first"
    if name in OWN or name.startswith((client_id(prefix, ""), "andon-")):
        return "it is kept for Andon's own processes"
    return ""


def rights_in(role: Role, name: str, assets: tuple[str, ...], config: Config) -> Rights:
    """Return what a user may do in a role.

    Args:
        role: which.
        name: the user's, which is the `<client>` of its questions too.
        assets: filters of machines it is limited to; none: all.
        config: its prefix and triggers count.

    Returns:
        Them; none where no trigger's topic is of these machines alone.
    """
    match role:
        case "plc":
            return _plc(assets, config)
        case "scanner":
            return _scanner(name, assets, config.prefix)
        case "dashboard":
            read = (*_SPOKEN, ALARM)
            area = (FLOOD, STATUS, DOCUMENT)
            return Rights(
                read=(
                    *(_of(c.filter(config.prefix), one) for c in read for one in assets or ("#",)),
                    *(channel.filter(config.prefix) for channel in area),
                )
            )
        case "admin":
            return _admin(name, config)
        case "metrics":
            return watching(config.prefix)


def _of(topic: str, asset: str) -> str:
    """Return the filter of a channel for machines."""
    return topic.removesuffix("#") + asset


def _scanner(name: str, assets: tuple[str, ...], prefix: str) -> Rights:
    own = tuple(channel.topic(prefix, asset=f"{ASKED}{name}") for channel in _SPOKEN)
    others = tuple(_of(channel.filter(prefix), f"{ASKED}#") for channel in _SPOKEN)
    machines = (*_SPOKEN, ALARM)
    return Rights(
        publish=(ASK.topic(prefix, client=name), FEEDBACK.filter(prefix)),
        read=own,
        never_read=others,
        else_read=tuple(_of(c.filter(prefix), one) for c in machines for one in assets or ("#",)),
    )


def _admin(name: str, config: Config) -> Rights:
    prefix = config.prefix
    everything = (*_SPOKEN, ALARM, FLOOD, STATUS, DOCUMENT, ASK, FEEDBACK)
    triggers = tuple(trigger.topic for trigger in config.orchestrator.triggers)
    return Rights(
        publish=(ASK.topic(prefix, client=name), FEEDBACK.filter(prefix), *triggers),
        read=(*(channel.filter(prefix) for channel in everything), *triggers, "$SYS/#"),
    )


def _plc(assets: tuple[str, ...], config: Config) -> Rights:
    rights = Rights()
    for trigger in config.orchestrator.triggers:
        for topic in _limited(trigger, assets):
            rights += _sparkplug(topic) if trigger.format == "sparkplug" else Rights((topic,))
    return rights


def _limited(trigger: Trigger, assets: tuple[str, ...]) -> list[str]:
    """Return the topics of a trigger that tell of these machines, and of no others."""
    if not assets:
        return [trigger.topic]
    found = (meet(trigger.topic, topic) for a in assets for topic in _topics(trigger, a))
    return [topic for topic in found if topic]


def _topics(trigger: Trigger, asset: str) -> list[str]:
    """Return filters of the topics whose machine matches one of assets; none where it cannot be."""
    if trigger.asset:
        return _by_template(trigger.asset.split("/"), asset.split("/"))
    if trigger.format == "sparkplug":
        return _by_node(asset)
    return [asset if asset.endswith("#") else f"{asset}/+"]


def _by_node(asset: str) -> list[str]:
    """Return the same for `<group>/<edge node>/#`."""
    group, edge, device = [*asset.split("/", 2), "#", "#"][:3]
    if "#" in {group, edge}:
        return ["spBv1.0/#" if group == "#" else f"spBv1.0/{group}/#"]
    # The node's own messages name no device, and no device works without them.
    return [f"spBv1.0/{group}/+/{edge}/#"] if device == "#" else []


def _by_template(template: list[str], wanted: list[str]) -> list[str]:
    """Return the same where the levels of a machine's name are levels of the topic."""
    levels = [_LEVEL.fullmatch(level) for level in template]
    topic = dict[int, str]()
    open_end = wanted[-1] == "#"
    if len(wanted) - open_end > len(levels) or (len(wanted) < len(levels) and not open_end):
        return []
    wanted = [*wanted[: len(wanted) - open_end], *["+"] * len(levels)]
    for level, want in zip(levels, wanted, strict=False):
        if level is None or (not level[1] and want not in {"+", level[0]}):
            return []
        if level[1]:
            topic[int(level[1])] = want
    return ["/".join([*(topic.get(at, "+") for at in range(1, max(topic, default=0) + 1)), "#"])]


def _sparkplug(topic: str) -> Rights:
    """Return what an edge node may: publish its own messages, and read the commands to it."""
    commands = [meet(topic, f"spBv1.0/+/{kind}/#") for kind in _COMMANDS]
    own = tuple(one for one in commands if one)
    return Rights(
        read=(*own, "spBv1.0/STATE/#", "STATE/#"), never_publish=own, else_publish=(topic,)
    )
