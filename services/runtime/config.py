"""config.yaml, read into typed structs; one struct a service.

A wrong file stops the process with the file, the key, what was found and what is allowed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import yaml

from schemas.answers import Language
from schemas.channels import DEFAULT_PREFIX
from schemas.faults import Priority
from services.runtime import checks, explain
from services.runtime.config_backup import Backup, Sharing
from services.runtime.errors import Fatal

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Prefix = Annotated[
    str,
    msgspec.Meta(
        # `$` first would make them topics of the broker's own, which no wildcard matches.
        pattern=r"^[^/+#$\s\x00]([^+#\s\x00]*[^/+#\s\x00])?\Z",
        description="topic levels without spaces, + or #, such as andon or site1/andon",
    ),
]
Hours = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z",
        description="a time of the day from and to, such as 22:00-06:00",
    ),
]
Sha256 = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}\Z", description="64 hexadecimal digits")
]
MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"


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


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages are faults, and where in them things are."""

    topic: Annotated[str, msgspec.Meta(min_length=1)]
    """Topic filter; `+` and `#` allowed."""
    format: Literal["json", "sparkplug"] = "json"
    """`json`: objects, plain text and numbers. `sparkplug`: Sparkplug B, where `code`, `text`,
    `severity` and `state` name metrics."""
    asset: str = ""
    """Template for the asset: `{1}` is the first topic level, `{machine.id}` a value of the
    payload. Empty: the topic without its last level; Sparkplug: `<group>/<edge>[/<device>]`."""
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


class Alarms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an alarm chatters, is stale or gone, and when many are a flood.

    Terms and usual limits are those of ISA-18.2 and IEC 62682.
    """

    chatter_transitions: Annotated[int, msgspec.Meta(ge=2, le=100)] = 3
    """As many raises and clears within `chatter_window_s` are chatter."""
    chatter_window_s: Seconds = 60.0
    """Time they are counted over, s."""
    chatter_quiet_s: Seconds = 300.0
    """An alarm that neither came nor went for this long no longer chatters, s."""
    stale_after_s: Seconds = 86_400.0
    """An active alarm that nobody reported for this long is stale, s."""
    take_back_s: Seconds = 300.0
    """How long answer and display stand after the last alarm of an asset cleared, s."""
    flood_more_than: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """More new alarms than this within `flood_window_s` begin a flood."""
    flood_fewer_than: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    """Fewer than this end it."""
    flood_window_s: Seconds = 600.0
    """Time they are counted over, s."""
    flood_update_s: Seconds = 10.0
    """The count of a flood that goes on is told this often at most, s."""
    area_levels: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    """So many first levels of the asset are its area; 0: all but the last."""
    most: Annotated[int, msgspec.Meta(ge=100)] = 10_000
    """Alarms remembered; cleared ones make room first, then stale ones, then the least urgent."""


class Night(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that are prepared while the language model has nothing else to do."""

    enabled: bool = True
    """Whether any are."""
    hours: tuple[Hours, ...] = ()
    """When, by the box's own clock, such as `22:00-06:00`; none: at any time."""
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Share of the time the model may work at it: the rest is rest, for heat and power."""
    after_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    """Seconds without other work before it begins."""


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
    grounded_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """An answer of the model of whose statements fewer are supported by the passages they cite is
    published with `grounded` false and the manuals' own words beside it; 1: all must be."""
    max_payload_kb: Positive = 64
    """Larger messages are rejected, KiB."""
    reuse_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    """A model's answer is given to other alarms for this long where code, passages and manuals are
    the same; 0: never. Repetitions of an alarm have its answer for as long as it stands."""
    answer_topics: tuple[str, ...] = ("#",)
    """Topics, outside Andon's own, on which an asker may have a copy of its answer: `answer_to`
    and MQTT 5 response topics. Anything else is refused."""
    answers_stand_s: Positive = 604_800
    """Seconds after which the broker forgets a retained answer and display (a week)."""
    workers: Positive = 8
    """Answers worked on at the same time."""
    lease_s: Seconds = 30.0
    """A job whose worker said nothing for this long is taken up again."""
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 90
    """Days after which faults and answers leave the ledger for a file in `<data>/history`."""
    history_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    """Days after which such a file is deleted; 0: never."""
    alarms: Alarms = Alarms()
    """When an alarm chatters, is stale or gone, and when many are a flood."""
    night: Night = Night()
    """Which answers are prepared before they are needed."""
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
    lexicon: str = ""
    """The plant's own list of terms beside the one that comes along; empty: `<data>/lexicon.txt`
    where there is one."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    """Passages less relevant than this are not shown."""
    sure: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.3
    """How likely the manuals must answer a question for anything to be shown; 0 shows the nearest
    passages always."""
    rerank_url: str = ""
    """Base address of a llama-server with a reranker model, `http://127.0.0.1:8082`; empty: none.
    It puts the best passages in order; which those are is found without it."""
    rerank_model: str = ""
    """Model to ask for, where the server has several; empty: the server's own."""
    rerank_api_key: str = ""
    """Sent as bearer token; empty for none."""
    rerank_ca: str = ""
    """PEM file of the authority that signed the server's certificate."""
    rerank_passages: Annotated[int, msgspec.Meta(ge=2, le=64)] = 16
    """So many of the best passages are put in order by it, at most."""
    rerank_within_s: Seconds = 1.5
    """Passages whose order takes longer stay in Andon's own, s."""
    cache_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 2
    """How much of the passages' file is kept in memory, by each of its two connections, MiB."""
    budget_mb: Positive = 224
    """Memory it should stay under, MiB."""


class Bridge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The language model's server."""

    url: str = ""
    """Base address, `http://127.0.0.1:8080`; empty: answers come from the passages alone."""
    api: Literal["completion", "chat"] = "chat"
    """llama-server's own `/completion`, or the OpenAI form that vLLM and Ollama speak too."""
    model: str = ""
    """Model to ask for, where the server has several; empty: the server's own, or its first."""
    api_key: str = ""
    """Sent as bearer token; empty for none."""
    ca: str = ""
    """PEM file of the authority that signed the server's certificate."""
    slots: Positive = 1
    """Requests in flight at the same time."""
    cut_off: bool = True
    """Whether a critical alarm may cut off an answer to an advice, which is begun again later."""
    ageing_s: Seconds = 60.0
    """A request that waited so long for the model rises a rank: an advice is as good as a warning.
    None rises to critical."""
    connect_timeout_s: Seconds = 3.0
    """How long to wait for a connection."""
    token_timeout_s: Seconds = 30.0
    """How long to wait for a sign of life: a part of the prompt that was read, or a token."""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.1
    """0 is always the same answer; more is freer."""
    context: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Most of the context to use, tokens, and its size for servers that do not tell; 0: all."""
    model_folders: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    """Folders of GGUF files, `*` and `?` allowed: /media/*/andon-models; empty: `<data>/models`."""
    allowed_models: tuple[Sha256, ...] = ()
    """SHA-256 checksums of the files that may be used; empty: every file may."""
    model_memory_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Models that need more are refused, MiB; 0: what the box has."""
    load_within_s: Seconds = 300.0
    """A model that is not ready so long after it was chosen is given up, s."""
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
    ocr_pages: Annotated[int, msgspec.Meta(ge=0)] = 200
    """Pages of a document whose text is recognised from their picture at most; 0: none."""
    ocr_seconds: Seconds = 30.0
    """Time for each of them; what is not recognised by then is left out, and said so."""
    reader_memory_mb: Positive = 768
    """Memory limit of the process that reads one file, MiB."""
    reader_seconds: Positive = 900
    """Time limit of the process that reads one file."""
    keep_revisions: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    """Revisions of a document that are kept besides the one that answers, for `andon rollback`."""
    inbox: str = ""
    """Folder whose files are taken in by themselves; empty: `<data>/inbox`."""
    inbox_deletes: bool = True
    """Whether a document goes when its file is deleted there."""
    inbox_scan_s: Seconds = 2.0
    """Seconds between two looks at it; more where looking takes long."""
    inbox_settle_s: Seconds = 2.0
    """A file that did not change for so long is complete, s."""
    inbox_grace_s: Seconds = 30.0
    """A file that is missing for so long was deleted, s."""
    idle_exit_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """With nothing to do for so long, s, the service ends; systemd starts it again. 0: it stays."""
    budget_mb: Positive = 64
    """Memory the service itself should stay under, MiB."""


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


_READ = "read configuration"

LEFT_BY_UP = "andon-data/up.yaml"
SEARCHED = ("config.yaml", LEFT_BY_UP, "/etc/andon/config.yaml")
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
