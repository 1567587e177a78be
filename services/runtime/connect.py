"""From the configuration to a bus."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from services.runtime.address import BrokerAddress
from services.runtime.bus import Bus
from services.runtime.config import Broker
from services.runtime.messages import Will
from services.runtime.mqtt import MqttBus

SESSION_S = 7 * 24 * 3600
"""How long the broker keeps what comes for a service that is away, seconds."""

CREDENTIALS = "/etc/andon/credentials"
"""Where passwords lie on a box, a file a user; systemd hands each service its own."""
_VARIABLE = "$CREDENTIALS_DIRECTORY"


def as_service(broker: Broker, service: str) -> Broker:
    """Return the settings of one process, where `{service}` stands for its name.

    `$CREDENTIALS_DIRECTORY` in `password_file` is where systemd puts the process's credentials
    (LoadCredential=). A process that systemd gave none, as the command line, has its file in
    `CREDENTIALS`, by its name.

    Args:
        broker: as configured.
        service: the process's name; `cli` for the command line.
    """
    file = broker.password_file.replace("{service}", service)
    if _VARIABLE in file:
        given = os.environ.get(_VARIABLE[1:])
        file = file.replace(_VARIABLE, given) if given else f"{CREDENTIALS}/{service}"
    name = broker.username.replace("{service}", service)
    return msgspec.structs.replace(broker, username=name, password_file=file)


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
