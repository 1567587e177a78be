"""A PLC and a dashboard of a box: they know a password each, and its TLS port."""

from __future__ import annotations

import itertools
import json
from typing import Any

import yaml

from tests.support.box import Box

UNITS = (
    "andon-broker",
    "andon-orchestrator",
    "andon-retriever",
    "andon-llm-bridge",
    "andon-ingest",
)
"""Those that always run, without `.service`."""
CA = "/etc/andon/broker/tls/ca.crt"
_ANSWER_S = "60"


def configure(box: Box, service: str, **settings: object) -> str:
    """Change a service's part of the box's configuration; return the whole as it was."""
    path = box.root / "etc/andon/config.yaml"
    before = path.read_text(encoding="utf-8")
    config = yaml.safe_load(before)
    config[service] = config.get(service, {}) | settings
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return before


class PlantOfBox:
    """Reports faults and reads answers."""

    def __init__(self, box: Box) -> None:
        """Get the two of them access."""
        self._box = box
        self._machine = itertools.count(1)
        self._passwords = {
            role: json.loads(
                box.run("andon", "access", "add", f"{role}1", "--role", role, "--json").stdout
            )["password"]
            for role in ("plc", "dashboard")
        }

    def as_(self, role: str) -> tuple[str, ...]:
        """Options of mosquitto_pub and mosquitto_sub."""
        # The certificate is for the name the box has in the plant.
        where = ("-h", "127.0.0.1", "-p", "8883", "--cafile", CA, "--insecure", "-q", "1")
        return (*where, "-i", f"{role}1", "-u", f"{role}1", "-P", self._passwords[role])

    def answer(self, code: str) -> dict[str, Any]:
        """Report a fault of a machine that had none, and return its answer."""
        machine = f"m{next(self._machine)}"
        fault = json.dumps({"code": code})
        self._box.run(
            "mosquitto_pub", *self.as_("plc"), "-t", f"plant/{machine}/fault", "-m", fault
        )
        topic = f"andon/answer/plant/{machine}"
        options = (*self.as_("dashboard"), "-C", "1", "-W", _ANSWER_S, "-t", topic)
        answer: dict[str, Any] = json.loads(self._box.run("mosquitto_sub", *options).stdout)
        return answer

    def all_ready(self) -> bool:
        """Return whether all services say that they are well, and their units too."""
        states = self._box.run("systemctl", "is-active", *UNITS, check=False).stdout.split()
        return (
            set(states) == {"active"}
            and self._box.run("andon", "status", check=False).returncode == 0
        )

    def pids(self) -> dict[str, int]:
        """Return the processes of the units."""
        return self.pids_of(self._box)

    @staticmethod
    def pids_of(box: Box) -> dict[str, int]:
        """Return the processes of the units of any box."""
        return {unit: int(box.shown(unit, "MainPID")) for unit in UNITS}
