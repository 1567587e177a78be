"""From the configuration to a bus."""

from __future__ import annotations

from collections.abc import Callable

from services.runtime.address import BrokerAddress
from services.runtime.bus import Bus
from services.runtime.config import Broker
from services.runtime.messages import Will
from services.runtime.mqtt import MqttBus

SESSION_S = 7 * 24 * 3600
"""How long the broker keeps what comes for a service that is away, seconds."""


def open_bus(
    broker: Broker,
    *,
    client_id: str,
    reply_topic: str,
    keep_session: bool,
    will: Will | None = None,
    on_connection: Callable[[bool], None] | None = None,
) -> Bus:
    """Return a bus that is not started yet.

    Args:
        broker: where it is, and who we are.
        client_id: our name at the broker.
        reply_topic: where replies to our requests come.
        keep_session: whether the broker keeps messages while we are away.
        will: what the broker says when we vanish.
        on_connection: told when the connection comes and goes.

    Raises:
        Fatal: the address or the secrets do not make sense.
    """
    return MqttBus(
        BrokerAddress.from_url(
            broker.url,
            username=broker.username,
            password=broker.secret(),
            ca=broker.ca,
            cert=broker.cert,
            key=broker.key,
        ),
        client_id,
        reply_topic=reply_topic,
        clean_start=not keep_session,
        session_expiry_s=SESSION_S if keep_session else 0,
        will=will,
        keepalive=broker.keepalive_s,
        on_connection=on_connection,
    )
