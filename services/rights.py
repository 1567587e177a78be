"""Which topics a service may publish and read at the broker: derived from the registry (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.channel import Channel
from schemas.channels import (
    ANSWER,
    ASK,
    ASKED,
    CALLS,
    CHANNELS,
    DISPLAY,
    FEEDBACK,
    MARK,
    REPLY,
    RPCS,
    STATUS,
)
from schemas.health import SERVICES
from services.runtime.config import Config
from services.runtime.rpc import client_id

CLI = "cli"
"""User of the command line, on the box only: what it may do a person with root's rights may."""
METRICS = "metrics"
"""User of the process that counts for Prometheus."""
KEEPER = "access"
"""User of `andon access`: may say who else may."""
OWN = (*SERVICES, METRICS, CLI, KEEPER)
"""Users of Andon's own; each has a password that nobody needs to know."""
CONTROL = "$CONTROL/dynamic-security/v1"
"""Where Mosquitto's plugin is told; its replies come on `/response` behind it."""
_REBIRTH = "spBv1.0/+/NCMD/+"


@dataclass(frozen=True, slots=True)
class Rights:
    """Topic filters; of those that match a topic the first kind in this order counts."""

    publish: tuple[str, ...] = ()
    """May be published on."""
    read: tuple[str, ...] = ()
    """May be subscribed to, wholly or in part, and is delivered."""
    never_publish: tuple[str, ...] = ()
    """May not, whatever the next one says."""
    never_read: tuple[str, ...] = ()
    """May not, whatever the next one says."""
    else_publish: tuple[str, ...] = ()
    """May be as well."""
    else_read: tuple[str, ...] = ()
    """May be as well."""

    def __add__(self, other: Rights) -> Rights:
        """Return the rights of one who has both."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return Rights(*(tuple(dict.fromkeys(mine + more)) for mine, more in pairs))


def internal(prefix: str) -> tuple[str, ...]:
    """Return the topics over which the services speak to each other: nobody else's business."""
    rpc = RPCS[0].topic(prefix).removesuffix(RPCS[0].name)
    return (f"{rpc}#", REPLY.filter(prefix).removesuffix("+") + "#")


def fixed_client_id(user: str, prefix: str) -> str:
    """Return the only client id a user of Andon's own may have; empty where it may have any."""
    return "" if user == CLI else client_id(prefix, user)


def rights_of(user: str, config: Config) -> Rights:
    """Return what a user of Andon's own may do.

    Args:
        user: one of `OWN`.
        config: its prefix, triggers and `answer_topics` count.
    """
    prefix = config.prefix
    if user == KEEPER:
        replies = REPLY.topic(prefix, client_id=client_id(prefix, KEEPER))
        return Rights(publish=(CONTROL,), read=(f"{CONTROL}/response", replies))
    if user == CLI:
        return _command_line(config)
    mine = {"service": user}
    publish = [channel.filter(prefix) for channel in CHANNELS if channel.owner == user]
    publish += [_one(STATUS, prefix, mine), _one(MARK, prefix, mine)]
    publish += [rpc.topic(prefix) for rpc in CALLS.get(user, ())]
    read = [channel.filter(prefix) for channel in CHANNELS if user in channel.readers]
    read += [rpc.topic(prefix) for rpc in RPCS if rpc.service == user]
    # What it retained it looks at again; and it hears when another service ends.
    read += [c.filter(prefix) for c in CHANNELS if c.owner == user and c.retain]
    read += [STATUS.filter(prefix), _one(MARK, prefix, mine)]
    read += [REPLY.topic(prefix, client_id=client_id(prefix, user))]
    if any(rpc.service == user for rpc in RPCS):
        publish.append(REPLY.filter(prefix))
    rights = Rights(publish=tuple(publish), read=tuple(dict.fromkeys(read)))
    if user == METRICS:
        return rights + watching(prefix)
    return rights + _orchestrator(config) if user == "orchestrator" else rights


def watching(prefix: str) -> Rights:
    """Return what one may do who counts what happens: read."""
    names = {"answer", "alarm", "flood", "status", "document"}
    channels = [channel.filter(prefix) for channel in CHANNELS if channel.name in names]
    return Rights(read=(*channels, "$SYS/#"))


def _orchestrator(config: Config) -> Rights:
    """Return what the plant's own topics add: faults, copies of answers, requests for births."""
    triggers = config.orchestrator.triggers
    births = (_REBIRTH,) if any(t.format == "sparkplug" for t in triggers) else ()
    return Rights(
        read=tuple(trigger.topic for trigger in triggers),
        publish=births,
        never_publish=(f"{config.prefix}/#",),
        else_publish=config.orchestrator.answer_topics,
    )


def _command_line(config: Config) -> Rights:
    prefix = config.prefix
    triggers = tuple(trigger.topic for trigger in config.orchestrator.triggers)
    own = tuple(channel.filter(prefix) for channel in (ASK, FEEDBACK))
    # It takes back what the broker retains of its questions.
    back = tuple(
        channel.topic(prefix, asset=f"{ASKED}x")[:-1] + "#" for channel in (ANSWER, DISPLAY)
    )
    public = tuple(c.filter(prefix) for c in CHANNELS if "client" in c.readers)
    return Rights(
        publish=(*(rpc.topic(prefix) for rpc in CALLS[CLI]), *own, *back, *triggers),
        read=(*public, REPLY.filter(prefix), *triggers),
    )


def _one(channel: Channel, prefix: str, parameters: dict[str, str]) -> str:
    return channel.topic(prefix, **parameters)
