"""config.yaml, read into typed structs; one struct a service.

A wrong file stops the process with the file, the key, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from schemas.answers import Language
from schemas.channels import DEFAULT_PREFIX
from schemas.faults import Priority
from services.runtime.errors import Fatal

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Mosquitto."""

    url: str = "mqtt://127.0.0.1:1883"
    """`mqtt://host:port`, `mqtts://host:port` (TLS), or `unix:///path/to/socket`."""
    username: str = ""
    """User name; empty for none."""
    password: str = ""
    """Password; better in `password_file`."""
    password_file: str = ""
    """File whose first line is the password."""
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
            raise Fatal(
                "read broker.password_file",
                f"{self.password_file}: {error.strerror}",
                "create it readable by this user, or remove the key",
            ) from error


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages are faults, and where in them things are."""

    topic: Annotated[str, msgspec.Meta(min_length=1)]
    """Topic filter; `+` and `#` allowed."""
    asset: str = ""
    """Template for the asset: `{1}` is the first topic level, `{machine.id}` a value of the
    payload. Empty: the topic without its last level."""
    question: str = ""
    """Template for what the manuals are asked: `{asset}`, `{code}`, `{text}`, values of the
    payload. Empty: made from code and text."""
    code: tuple[str, ...] = (
        "code",
        "fault_code",
        "error_code",
        "alarm_code",
        "fault",
        "error",
        "alarm",
    )
    """Where in the JSON the fault code is: dotted paths, the first that exists counts."""
    text: tuple[str, ...] = ("text", "message", "msg", "description")
    """Where the machine's own words are."""
    severity: tuple[str, ...] = ("severity", "priority", "level")
    """Where the severity is."""
    state: tuple[str, ...] = ("state", "status", "active")
    """Where it says whether the fault came or went."""
    cleared: tuple[str, ...] = (
        "cleared",
        "clear",
        "inactive",
        "ok",
        "off",
        "gone",
        "reset",
        "false",
        "0",
    )
    """Values of `state`, in lower case, that mean the fault is gone."""
    priorities: dict[str, Priority] = {}
    """Values of `severity`, in lower case, and their priority; the usual words are known."""
    priority: Priority = "warning"
    """Priority where the payload says none."""
    lang: Language | None = None
    """Language of the answers; default `lang` of the orchestrator."""


class Orchestrator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to a fault."""

    triggers: tuple[Trigger, ...] = (Trigger(topic="plant/+/fault"),)
    """Which messages are faults."""
    lang: Language = "en"
    """Language of answers to faults whose trigger says none and whose text has none."""
    deadline_s: Seconds = 60.0
    """After this long an answer goes out with what there is."""
    passages: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    """Passages cited by an answer at most."""
    use_model: bool = True
    """Whether the language model is asked at all."""
    max_payload_kb: Positive = 64
    """Larger messages are rejected, KiB."""
    workers: Positive = 8
    """Answers worked on at the same time."""
    lease_s: Seconds = 30.0
    """A job whose worker said nothing for this long is taken up again."""
    budget_mb: Positive = 64
    """Memory it should stay under, MiB."""


class Embedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How text becomes vectors."""

    backend: Literal["onnx", "sentence-transformers", "llama-server"] = "onnx"
    """`onnx` runs the bundled model; the others run what `model` or `url` names."""
    model: str = str(MODELS / "all-MiniLM-L6-v2")
    """Folder of the ONNX model, or a sentence-transformers model on this machine."""
    url: str = ""
    """Base address of the llama-server that embeds, `http://127.0.0.1:8081`."""
    threads: Positive = 2
    """Processor threads."""
    batch: Positive = 8
    """Texts embedded together: more is faster and takes more memory."""


class Retriever(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How passages are found."""

    embedding: Embedding = Embedding()
    """How text becomes vectors."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    """Passages less relevant than this are not shown."""
    budget_mb: Positive = 224
    """Memory it should stay under, MiB."""


class Bridge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The language model's server."""

    url: str = ""
    """Base address, `http://127.0.0.1:8080`; empty: answers come from the passages alone."""
    api: Literal["completion", "chat"] = "chat"
    """llama-server's own `/completion`, or the OpenAI form most servers speak."""
    model: str = ""
    """Model to ask for, where the server has several; empty: the server's own."""
    api_key: str = ""
    """Sent as bearer token; empty for none."""
    ca: str = ""
    """PEM file of the authority that signed the server's certificate."""
    slots: Positive = 1
    """Requests in flight at the same time."""
    connect_timeout_s: Seconds = 3.0
    """How long to wait for a connection."""
    token_timeout_s: Seconds = 30.0
    """How long to wait for the first token, and between two."""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.1
    """0 is always the same answer; more is freer."""
    context: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Context size, tokens, for servers that do not tell; 0: ask the server."""
    budget_mb: Positive = 64
    """Memory it should stay under, MiB."""


class Ingest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How documents become passages."""

    chunk_tokens: Annotated[int, msgspec.Meta(ge=32, le=4096)] = 512
    """Length of a passage of running text, tokens of the embedding model at most."""
    overlap_tokens: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 64
    """How much of it the next one repeats, tokens."""
    tokenizer: str = str(MODELS / "all-MiniLM-L6-v2" / "tokenizer.json")
    """Tokenizer file that counts them."""
    max_file_mb: Positive = 512
    """Larger files are refused, MiB."""
    max_pages: Positive = 10_000
    """Longer documents are refused."""
    reader_memory_mb: Positive = 768
    """Memory limit of the process that reads one file, MiB."""
    reader_seconds: Positive = 900
    """Time limit of the process that reads one file."""
    budget_mb: Positive = 64
    """Memory the service itself should stay under, MiB."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    prefix: Annotated[str, msgspec.Meta(pattern=r"^[^/+#\s][^+#\s]*[^/+#\s]$")] = DEFAULT_PREFIX
    """First level of every topic of Andon's own."""
    data: str = "/var/lib/andon"
    """Folder for everything that is kept."""
    log: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""
    status_every_s: Seconds = 5.0
    """Seconds between two status messages."""
    stop_within_s: Seconds = 10.0
    """A process told to stop ends within this time."""
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

    @property
    def data_dir(self) -> Path:
        """Return the data folder."""
        return Path(self.data)


SEARCHED = ("config.yaml", "andon-data/up.yaml", "/etc/andon/config.yaml")
"""Where a configuration is looked for when neither an option nor ANDON_CONFIG names one; the
second is what a running `andon up` leaves for the other commands."""


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fatal("read configuration", f"{path}: {error}", "name it with --config") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Config:
    """Check the text of a file; `name` stands in messages.

    Raises:
        Fatal: not YAML, or a wrong or unknown key.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Fatal("read configuration", f"{name} is not YAML: {error}") from error
    try:
        return msgspec.convert({} if data is None else data, Config)
    except msgspec.ValidationError as error:
        raise Fatal("read configuration", _explain(str(error), data, root, name)) from error


def _explain(message: str, data: Any, root: yaml.Node | None, name: str) -> str:
    """Turn msgspec's message into file, line, key, what was found, what is allowed."""
    what, _, path = message.partition(" - at `")
    steps: list[str | int] = [
        int(index) if index else key
        for key, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", path.rstrip("`"))
    ]
    if unknown := re.match(r"Object contains unknown field `(.+)`", what):
        keys = _keys(steps)
        near = difflib.get_close_matches(unknown[1], keys, n=1)
        steps.append(unknown[1])
        what = f"unknown key{f', did you mean `{near[0]}`?' if near else ''}"
        what += f" Allowed: {', '.join(keys)}"
    else:
        found = _value(data, steps)
        if what.startswith("Invalid enum value"):
            what = f"allowed: {', '.join(_choices(_type(steps)))}"
        elif "matching regex" in what:
            what = "must be topic levels without spaces, + or #, such as `andon` or `site1/andon`"
        what = f"found {found!r}; {what[:1].lower()}{what[1:]}"
    key = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")
    line = _line(root, steps)
    return f"{name}{f', line {line}' if line else ''}: {key or 'the file'}: {what}"


def _type(steps: list[str | int]) -> Any:
    """Return msgspec's description of the type at a place of the configuration."""
    kind: Any = msgspec.inspect.type_info(Config)
    for step in steps:
        if isinstance(kind, msgspec.inspect.StructType):
            kind = next(f.type for f in kind.fields if f.name == step)
        elif isinstance(kind, msgspec.inspect.VarTupleType):
            kind = kind.item_type
    return kind


def _keys(steps: list[str | int]) -> list[str]:
    """Return the keys allowed at a place of the configuration."""
    kind = _type(steps)
    return [f.name for f in kind.fields] if isinstance(kind, msgspec.inspect.StructType) else []


def _choices(kind: Any) -> list[str]:
    """Return the values allowed by a type with a fixed list of them."""
    if isinstance(kind, msgspec.inspect.LiteralType):
        return [str(value) for value in kind.values]
    if isinstance(kind, msgspec.inspect.UnionType):
        return [choice for member in kind.types for choice in _choices(member)]
    if isinstance(kind, msgspec.inspect.DictType):
        return _choices(kind.value_type)
    return []


def _value(data: Any, steps: list[str | int]) -> Any:
    for step in steps:
        data = data[step]
    return data


def _line(node: yaml.Node | None, steps: list[str | int]) -> int | None:
    """Return the line, from 1, of the last step that is in the file."""
    line = None if node is None else node.start_mark.line + 1
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == step), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
