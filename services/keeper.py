"""What `andon access` says to the running broker: its security plugin changes at once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from schemas.channels import REPLY
from services.rights import CONTROL, KEEPER, fixed_client_id
from services.runtime.bus import Bus
from services.runtime.config import Broker
from services.runtime.connect import open_bus
from services.runtime.errors import DeadlineExceeded, Rejected

_CONNECT_S = 5.0
_REPLY_S = 10.0


async def tell(
    commands: list[dict[str, Any]], broker: Broker, prefix: str, *, gone: bool = False
) -> None:
    """Have the running broker do something.

    Args:
        commands: what, as the plugin wants it.
        broker: where it is, with name and password of `KEEPER`.
        prefix: the configured one.
        gone: whether it is all right that what is named is not there.

    Raises:
        Unavailable: it does not run, or does not know `KEEPER`.
        DeadlineExceeded: it says nothing.
        Rejected: it will not.
    """
    client_id = fixed_client_id(KEEPER, prefix)
    bus = open_bus(
        broker,
        client_id=client_id,
        reply_topic=REPLY.topic(prefix, client_id=client_id),
        keep_session=False,
    )
    async with bus:
        await bus.wait_connected(_CONNECT_S)
        replies = await _replies(bus, commands)
    wrong = [f"{one['command']}: {one['error']}" for one in replies if "error" in one]
    if gone:
        wrong = [one for one in wrong if not one.lower().endswith("not found")]
    if wrong:
        hint = "`systemctl restart andon-broker` makes it read the whole list anew"
        raise Rejected("tell the broker", "; ".join(wrong), hint)


async def _replies(bus: Bus, commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inbox = await bus.consume(f"{CONTROL}/response", qos=0)
    await bus.publish(CONTROL, msgspec.json.encode({"commands": commands}))
    try:
        async with asyncio.timeout(_REPLY_S):
            delivery = await inbox.get()
    except TimeoutError:
        raise DeadlineExceeded("tell the broker", "its security plugin says nothing") from None
    replies: list[dict[str, Any]] = msgspec.json.decode(delivery.payload)["responses"]
    return replies
