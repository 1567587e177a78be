"""What somebody who was given access needs to connect: for people, and for Node-RED (pure)."""

from __future__ import annotations

from typing import Any

import msgspec

from services.access_list import Client, Plant
from services.rights import Rights

_LOOPBACK = {"127.0.0.1", "::1"}


def connection(client: Client, rights: Rights, plant: Plant, word: str, ca: str) -> dict[str, Any]:
    """Return how to connect, for programs.

    Args:
        client: who.
        rights: what it may.
        plant: where the broker listens.
        word: its password.
        ca: file of the authority's certificate.
    """
    host = _reached_by(plant.hosts)
    ways = []
    if plant.tls_port:
        ways.append({"url": f"mqtts://{host}:{plant.tls_port}", "ca": ca})
    if plant.plain_port:
        ways.append({"url": f"mqtt://{host}:{plant.plain_port}"})
    return {
        "name": client.name,
        "roles": client.roles,
        "assets": client.assets,
        "ways": ways,
        "username": client.name,
        "password": word,
        "client_id": client.name,
        "publish": rights.publish + rights.else_publish,
        "read": rights.read + rights.else_read,
        "node_red": _node_red(client, rights, plant, host, word),
    }


def _reached_by(hosts: tuple[str, ...]) -> str:
    """Return the name or address to give a client: few plants know a box by its bare name."""
    whole = [one for one in hosts if "." in one or ":" in one]
    known = [one for one in whole if not one.endswith(".local") and one not in _LOOPBACK]
    return next(iter(known or hosts), "localhost")


def lines(told: dict[str, Any], files: dict[str, str]) -> list[str]:
    """Return the same for people.

    Args:
        told: what `connection` returned.
        files: certificate files by what they are.
    """
    text = [f"broker     {way['url']}" for way in told["ways"]]
    text += [f"user       {told['username']}", f"password   {told['password']}"]
    text += [f"client id  {told['client_id']} (the broker takes the user's name for it)"]
    text += [f"{what:<10} {path}" for what, path in files.items()]
    text += [f"publishes  {topic}" for topic in told["publish"]]
    text += [f"reads      {topic}" for topic in told["read"]]
    flow = msgspec.json.encode(told["node_red"]).decode()
    text += ["", "The password is shown this once. Node-RED, menu Import:", flow]
    return text


def _node_red(
    client: Client, rights: Rights, plant: Plant, host: str, word: str
) -> list[dict[str, Any]]:
    """Return nodes for its import: the broker, and one node for each direction there is."""
    broker = {
        "id": f"andon-{client.name}",
        "type": "mqtt-broker",
        "name": f"Andon ({client.name})",
        "broker": host,
        "port": str(plant.tls_port or plant.plain_port),
        "clientid": client.name,
        "protocolVersion": "4",
        "keepalive": "60",
        "cleansession": True,
        "usetls": bool(plant.tls_port),
        "credentials": {"user": client.name, "password": word},
    }
    nodes = [broker]
    if plant.tls_port:
        tls = f"andon-tls-{client.name}"
        broker["tls"] = tls
        nodes.append({"id": tls, "type": "tls-config", "name": "Andon", "verifyservercert": True})
    for kind, topics in (
        ("mqtt out", rights.publish or rights.else_publish),
        ("mqtt in", rights.read or rights.else_read),
    ):
        # A filter is no topic to publish on: the message's own counts then.
        for number, topic in enumerate(topics):
            plain = kind == "mqtt in" or not set(topic) & set("+#")
            node = {"id": f"{broker['id']}-{kind[5:]}-{number}", "type": kind, "qos": "1"}
            nodes.append({**node, "topic": topic if plain else "", "broker": broker["id"]})
    return nodes
