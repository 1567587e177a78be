"""What Mosquitto's security plugin would say to its own file: a model of acl.c of 2.0.11."""

from __future__ import annotations

from typing import Any

from services.runtime.messages import topic_matches

Json = dict[str, Any]


def covers(wide: str, narrow: str) -> bool:
    """Whether a filter has every topic that another one has."""
    ours, theirs = wide.split("/"), narrow.split("/")
    for at, level in enumerate(ours):
        if level == "#":
            return True
        if at >= len(theirs) or theirs[at] == "#" or (level != "+" and level != theirs[at]):
            return False
    return len(ours) == len(theirs)


class Judge:
    """Says who may what by a plugin's file."""

    def __init__(self, document: Json) -> None:
        self._default = document["defaultACLAccess"]
        self._roles = {role["rolename"]: role["acls"] for role in document["roles"]}
        self._clients = {client["username"]: client for client in document["clients"]}

    def _first(self, user: str, kind: str, matches: Any) -> bool | None:
        for given in self._clients[user]["roles"]:
            acls = [acl for acl in self._roles[given["rolename"]] if acl["acltype"] == kind]
            for acl in sorted(acls, key=lambda one: -one["priority"]):
                if matches(acl["topic"]):
                    return bool(acl["allow"])
        return None

    def publishes(self, user: str, topic: str) -> bool:
        found = self._first(user, "publishClientSend", lambda one: topic_matches(one, topic))
        return self._default["publishClientSend"] if found is None else found

    def receives(self, user: str, topic: str) -> bool:
        found = self._first(user, "publishClientReceive", lambda one: topic_matches(one, topic))
        return self._default["publishClientReceive"] if found is None else found

    def subscribes(self, user: str, topic: str) -> bool:
        found = self._first(user, "subscribePattern", lambda one: covers(one, topic))
        return self._default["subscribe"] if found is None else found

    def reads(self, user: str, topic: str) -> bool:
        """Whether a subscription is taken and brings what is on it."""
        level = topic.replace("+", "x").replace("#", "x")
        return self.subscribes(user, topic) and self.receives(user, level)
