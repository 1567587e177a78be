"""config.yaml, read into typed structs; one struct a service.

A wrong file stops the process with the file, the key, what was found and what is allowed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import yaml

from schemas.channel import DEFAULT_PREFIX
from services.runtime import checks, explain
from services.runtime.config_backup import Backup, Sharing
from services.runtime.config_bridge import Bridge
from services.runtime.config_ingest import Ingest
from services.runtime.config_orchestrator import Alarms, Night, Orchestrator, Trigger
from services.runtime.config_retriever import Embedding, Retriever
from services.runtime.config_values import Positive, Seconds
from services.runtime.errors import Fatal

__all__ = [
    "LEFT_BY_UP",
    "SEARCHED",
    "Alarms",
    "Backup",
    "Bridge",
    "Broker",
    "Config",
    "Embedding",
    "Ingest",
    "Metrics",
    "Night",
    "Orchestrator",
    "Retriever",
    "Sharing",
    "Trigger",
    "find",
    "load",
    "parse",
]

Prefix = Annotated[
    str,
    msgspec.Meta(
        # `$` first would make them topics of the broker's own, which no wildcard matches.
        pattern=r"^[^/+#$\s\x00]([^+#\s\x00]*[^/+#\s\x00])?\Z",
        description="topic levels without spaces, + or #, such as andon or site1/andon",
    ),
]

_READ = "read configuration"

LEFT_BY_UP = "andon-data/up.yaml"
SEARCHED = ("config.yaml", LEFT_BY_UP, "/etc/andon/config.yaml")
"""Where a configuration is looked for when neither an option nor ANDON_CONFIG names one; the
second is what a running `andon up` leaves for the other commands."""


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Mosquitto."""

    url: str = "mqtt://127.0.0.1:1883"
    """`mqtt://host:port`, `mqtts://host:port` (TLS), or `unix:///path/to/socket`."""
    username: str = ""
    """User name, `{service}` for the process's own; empty for none."""
    password: str = ""
    """Password; better in `password_file`."""
    password_file: str = ""
    """File whose first line is the password; see `connect.as_service`."""
    ca: str = ""
    """PEM file of the authority that signed the broker's certificate."""
    cert: str = ""
    """PEM file of the client certificate."""
    key: str = ""
    """PEM file of its key."""
    keepalive_s: Positive = 30
    """Seconds between signs of life."""

    def secret(self) -> str:
        """Return the password, from the file where one is named.

        Raises:
            Fatal: the file cannot be read.
        """
        if not self.password_file:
            return self.password
        try:
            return Path(self.password_file).read_text(encoding="utf-8").split("\n", 1)[0].strip()
        except OSError as error:
            hint = "create it readable by this user, or remove the key"
            if isinstance(error, PermissionError):
                hint = (
                    "on a box passwords are root's: call andon as root; elsewhere have it readable"
                )
            reason = f"{self.password_file}: {error.strerror}"
            raise Fatal("read broker.password_file", reason, hint) from error


class Metrics(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures for Prometheus."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """TCP port they are served on; 0: they are not."""
    address: Annotated[str, msgspec.Meta(min_length=1)] = "127.0.0.1"
    """Address of this box it listens on."""
    budget_mb: Positive = 48
    """Memory it should stay under, MiB."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    prefix: Prefix = DEFAULT_PREFIX
    """First level of every topic of Andon's own."""
    data: Annotated[str, msgspec.Meta(min_length=1)] = "/var/lib/andon"
    """Folder for everything that is kept."""
    log: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""
    status_every_s: Seconds = 5.0
    """Seconds between two status messages."""
    stop_within_s: Seconds = 10.0
    """A process told to stop ends within this time."""
    watchdog_s: Seconds = 30.0
    """`andon up` ends a service that gives no sign of life for so long, and starts it again."""
    broker: Broker = Broker()
    """How to reach Mosquitto."""
    orchestrator: Orchestrator = Orchestrator()
    """What happens to a fault."""
    retriever: Retriever = Retriever()
    """How passages are found."""
    llm_bridge: Bridge = Bridge()
    """The language model's server."""
    ingest: Ingest = Ingest()
    """How documents become passages."""
    backup: Backup = Backup()
    """Where backups go, and how many stay."""
    sharing: Sharing = Sharing()
    """Collections from other boxes."""
    metrics: Metrics = Metrics()
    """Figures for Prometheus."""

    @property
    def data_dir(self) -> Path:
        """Return the data folder."""
        return Path(self.data)

    @property
    def inbox_dir(self) -> Path:
        """Return the folder whose files are taken in."""
        return Path(self.ingest.inbox) if self.ingest.inbox else self.data_dir / "inbox"

    @property
    def wake_file(self) -> Path:
        """Return the file whose touch has systemd start what rests."""
        return self.data_dir / "wake"

    @property
    def model_folders(self) -> tuple[str, ...]:
        """Return the folders of language models."""
        return self.llm_bridge.model_folders or (str(self.data_dir / "models"),)

    @property
    def lexicon_file(self) -> Path | None:
        """Return the plant's own list of terms; None where none is named and none is there."""
        if self.retriever.lexicon:
            return Path(self.retriever.lexicon)
        usual = self.data_dir / "lexicon.txt"
        return usual if usual.is_file() else None


def find(path: str | None = None) -> Path | None:
    """Return the file to read: the one named, ANDON_CONFIG's, or the first that exists."""
    named = path or os.environ.get("ANDON_CONFIG")
    if named:
        return Path(named)
    return next((Path(p) for p in SEARCHED if Path(p).is_file()), None)


def load(path: Path | None) -> Config:
    """Read and check a file; None gives the defaults.

    Raises:
        Fatal: the file cannot be read, is not YAML, or has a wrong or unknown key.
    """
    if path is None:
        return Config()
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"found the byte 0x{error.object[error.start]:02x}; allowed: text in UTF-8"
        raise Fatal(
            _READ, f"{explain.place(str(path), line, [])}: {found}", "save it as UTF-8"
        ) from error
    except OSError as error:
        hint = "name an existing file with --config or ANDON_CONFIG"
        raise Fatal(_READ, f"{path}: {error.strerror}", hint) from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Config:
    """Check the text of a file; `name` stands in messages.

    Raises:
        Fatal: not YAML, a wrong or unknown key, or a value that cannot work; the reason names
            file, line, key, what was found and what is allowed.
    """
    try:
        loader = explain.Loader(text)
        root = loader.get_single_node()
        if twice := explain.duplicate(root):
            steps, line, before = twice
            found = f"found a second time, first in line {before}; allowed: once"
            raise Fatal(_READ, f"{explain.place(name, line, steps)}: {found}")
        data = loader.construct_document(root) if root else None
    except yaml.YAMLError as error:
        raise Fatal(_READ, explain.not_yaml(error, text, name)) from error
    except RecursionError as error:
        raise Fatal(_READ, f"{name}: not YAML: nested too deeply") from error
    data = {} if data is None else data
    try:
        config = msgspec.convert(data, Config)
        wrong = list(checks.troubles(config))
    except msgspec.ValidationError as error:
        wrong = [explain.wrong_shape(str(error), data, Config)]
    if wrong:
        lines = [
            f"{explain.place(name, explain.line_of(root, steps), steps)}: {what}"
            for steps, what in wrong
        ]
        raise Fatal(_READ, "\n".join(lines))
    return config
