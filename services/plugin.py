"""Mosquitto's dynamic security plugin: its file, and what it is told while the broker runs (pure).

Its file is made anew from access.json at each start of the broker. The plugin of 2.0.11 writes it
in place and without fsync, so that a power cut may leave half of it: nobody else reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.access_list import Access, Client, Password
from services.rights import Rights, fixed_client_id, rights_of
from services.roles import Role, rights_in
from services.runtime.config import Config

_SEND, _RECEIVE, _SUBSCRIBE = "publishClientSend", "publishClientReceive", "subscribePattern"
Json = dict[str, Any]
NO_TOPIC = "no topic of orchestrator.triggers is of its machines alone"


def document(access: Access, config: Config) -> Json:
    """Return the plugin's file: a role for each user, since no two have the same rights."""
    clients, roles = list[Json](), list[Json]()
    for name, password in access.own.items():
        client_id = fixed_client_id(name, config.prefix)
        clients.append(_client(name, password, client_id))
        roles.append(_role(name, rights_of(name, config)))
    for client in access.clients:
        clients.append(_client(client.name, client.password, client.name))
        roles.append(_role(client.name, rights_for(client, config)))
    # To unsubscribe harms nobody; all else is given by name or not at all.
    default = {_SEND: False, _RECEIVE: False, "subscribe": False, "unsubscribe": True}
    return {"defaultACLAccess": default, "clients": clients, "groups": [], "roles": roles}


def rights_for(client: Client, config: Config) -> Rights:
    """Return what a client may do by all its roles."""
    rights = Rights()
    for role in client.roles:
        rights += rights_in(role, client.name, client.assets, config)
    return rights


def idle(client: Client, config: Config) -> list[Role]:
    """Return the roles in which a client may do nothing, as the triggers are now."""
    roles = client.roles
    return [r for r in roles if rights_in(r, client.name, client.assets, config) == Rights()]


def _client(name: str, password: Password, client_id: str) -> Json:
    own: Json = {"username": name, "roles": [{"rolename": name}]}
    if client_id:
        own["clientid"] = client_id
    return {
        **own,
        "password": password.hash,
        "salt": password.salt,
        "iterations": password.iterations,
    }


def _role(name: str, rights: Rights) -> Json:
    return {"rolename": name, "acls": list(_acls(rights))}


def _acls(rights: Rights) -> Iterator[Json]:
    """Yield the plugin's form of rights; a topic stands once a kind, the first counts."""
    seen = set[tuple[str, str]]()
    steps = (
        (2, True, rights.publish, rights.read),
        (1, False, rights.never_publish, rights.never_read),
        (0, True, rights.else_publish, rights.else_read),
    )
    for priority, allow, publish, read in steps:
        for kind, topics in ((_SEND, publish), (_RECEIVE, read), (_SUBSCRIBE, read)):
            for topic in topics:
                if (kind, topic) not in seen:
                    seen.add((kind, topic))
                    acl = {"acltype": kind, "topic": topic, "priority": priority, "allow": allow}
                    yield acl


def adding(client: Client, word: str, config: Config) -> list[Json]:
    """Return the commands that let a client in."""
    role = _role(client.name, rights_for(client, config))
    made = {"username": client.name, "password": word, "clientid": client.name}
    return [
        {"command": "createRole", **role},
        {"command": "createClient", **made, "roles": [{"rolename": client.name}]},
    ]


def removing(name: str) -> list[Json]:
    """Return the commands that keep a client out; the broker ends its connection with the first."""
    return [
        {"command": "deleteClient", "username": name},
        {"command": "deleteRole", "rolename": name},
    ]
