"""The one registry: every topic, what it carries, and who may say it.

Subscriptions, the broker's access list, the README's table, docs/asyncapi.yaml and the contract
tests derive from `CHANNELS` and `RPCS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec

from schemas import (
    answers,
    errors,
    faults,
    generation,
    health,
    knowledge,
    models,
    prompts,
    retrieval,
)

Encoding = Literal["json", "text", "msgpack", "any"]

DEFAULT_PREFIX = "andon"
ASKED = "ask/"
"""What the place of the asset begins with where a person asked: `andon/answer/ask/<client>`."""

_PARAMETER = re.compile(r"\{(\w+)\}")
_MANY_LEVELS = ("asset", "area", "client")
_FORBIDDEN = re.compile("[+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
MAX_LEVELS = 200
"""Topic levels Mosquitto takes; a publisher of more is disconnected."""
MAX_TOPIC = 1024
"""Characters of a topic we publish on."""


class Undecodable(msgspec.DecodeError):
    """A payload that is no message of its channel, for a reason msgspec has no error for."""


def topic_trouble(topic: str) -> str:
    """Return why a broker would not take this topic for publishing; empty where it would.

    A broker closes the connection of whoever publishes on a topic with control characters
    (MQTT 5, 1.5.4 and 3.3.2.1) or too many levels: a topic from outside is looked at first.
    """
    if not topic:
        return "it is empty"
    if _FORBIDDEN.search(topic):
        return "it has +, # or control characters"
    if len(topic) > MAX_TOPIC:
        return f"it is longer than {MAX_TOPIC} characters"
    if topic.count("/") >= MAX_LEVELS:
        return f"it has more than {MAX_LEVELS} levels"
    return ""


@cache
def _pattern(address: str) -> re.Pattern[str]:
    """Return what the topics of an address look like."""
    text = re.sub(
        r"\\\{(\w+)\\\}",
        lambda m: f"(?P<{m[1]}>{'.+' if m[1] in _MANY_LEVELS else '[^/]+'})",
        re.escape(address),
    )
    return re.compile(text, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of topic."""

    name: str
    """Name in code and documents."""
    address: str
    """Topic with parameters in braces; the prefix is not part of it."""
    type: Any
    """Message struct, or `str` for plain text, or `bytes` where anything may come."""
    encoding: Encoding
    """How it is written on the wire."""
    owner: str
    """Who publishes it: a service, or `plc`, `client`, `service` (each its own)."""
    readers: tuple[str, ...]
    """Who is meant to read it."""
    summary: str
    """One line for the documents."""
    qos: int = 1
    """MQTT quality of service."""
    retain: bool = False
    """Whether the last message stands for late subscribers."""
    prefixed: bool = True
    """Whether the configurable prefix comes before it."""

    def topic(self, prefix: str = DEFAULT_PREFIX, **parameters: str) -> str:
        """Return the topic for these parameters.

        Raises:
            ValueError: a parameter is missing, empty, has wildcards or control characters in it,
                or `/` where it stands for one level; or the topic is too long.
        """

        def value(match: re.Match[str]) -> str:
            name = match[1]
            text = parameters.get(name, "")
            levels = name in _MANY_LEVELS
            if not text or _FORBIDDEN.search(text) or ("/" in text and not levels):
                what = "topic levels" if levels else "one topic level"
                raise ValueError(f"{self.name}: {name} must be {what}, found {text!r}")
            return text

        topic = self._prefixed(prefix, _PARAMETER.sub(value, self.address))
        if "{" in self.address and (why := topic_trouble(topic)):
            raise ValueError(f"{self.name}: {why}")
        return topic

    def filter(self, prefix: str = DEFAULT_PREFIX) -> str:
        """Return the subscription that covers all its topics."""
        text = _PARAMETER.sub(lambda m: "#" if m[1] in _MANY_LEVELS else "+", self.address)
        return self._prefixed(prefix, text)

    def parameters(self, topic: str, prefix: str = DEFAULT_PREFIX) -> dict[str, str] | None:
        """Return the parameters a topic was made with, None where it is not of this channel."""
        match = _pattern(self._prefixed(prefix, self.address)).fullmatch(topic)
        return match.groupdict() if match else None

    def encode(self, message: Any) -> bytes:
        """Return the message as it goes on the wire."""
        if self.encoding == "json":
            return msgspec.json.encode(message)
        if self.encoding == "msgpack":
            return msgspec.msgpack.encode(message)
        return message.encode() if isinstance(message, str) else bytes(message)

    def decode(self, payload: bytes) -> Any:
        """Return the typed message.

        Raises:
            msgspec.ValidationError: the shape is wrong; names the field's path.
            msgspec.DecodeError: not JSON, MessagePack or UTF-8 at all, or nested without end.
        """
        try:
            if self.encoding == "json":
                return msgspec.json.decode(payload, type=self.type)
            if self.encoding == "msgpack":
                return msgspec.msgpack.decode(payload, type=self.type)
            return payload.decode() if self.encoding == "text" else payload
        except UnicodeDecodeError as error:
            raise Undecodable(f"not UTF-8: {error}") from error
        except RecursionError as error:
            raise Undecodable("nested too deeply") from error

    @property
    def content_type(self) -> str:
        """Return the MIME type for MQTT 5's content type property."""
        return {
            "json": "application/json",
            "msgpack": "application/vnd.msgpack",
            "text": "text/plain; charset=utf-8",
            "any": "application/octet-stream",
        }[self.encoding]

    def _prefixed(self, prefix: str, rest: str) -> str:
        return f"{prefix}/{rest}" if self.prefixed else rest


@dataclass(frozen=True, slots=True)
class Rpc:
    """A request one service answers for the others, MQTT 5 response topic and correlation data."""

    service: str
    """Who answers."""
    verb: str
    """What is asked."""
    request: Any
    """Request struct."""
    reply: Any
    """Reply struct, or the union a streamed reply is made of."""
    summary: str
    """One line for the documents."""
    streamed: bool = False
    """Whether several replies come, ended by the last."""

    @property
    def name(self) -> str:
        """Return `service/verb`."""
        return f"{self.service}/{self.verb}"

    def topic(self, prefix: str = DEFAULT_PREFIX) -> str:
        """Return the topic requests go to."""
        return f"{prefix}/rpc/{self.service}/{self.verb}"


FAULT = Channel(
    name="fault",
    address="plant/+/fault",
    type=bytes,
    encoding="any",
    owner="plc",
    readers=("orchestrator",),
    summary="A machine's fault: JSON object, plain text, or number. Any filter in `triggers:`.",
    prefixed=False,
)
ASK = Channel(
    name="ask",
    address="ask/{client}",
    type=answers.Ask,
    encoding="json",
    owner="client",
    readers=("orchestrator",),
    summary="A question, as JSON or plain text.",
)
FEEDBACK = Channel(
    name="feedback",
    address="feedback/{answer_id}",
    type=answers.Feedback,
    encoding="json",
    owner="client",
    readers=("orchestrator",),
    summary="Whether an answer helped, and what should be said instead.",
)
ANSWER = Channel(
    name="answer",
    address="answer/{asset}",
    type=answers.Answer,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="The answer, first from passages, then final; `ask/<client>` in place of the asset.",
)
DISPLAY = Channel(
    name="display",
    address="display/{asset}",
    type=str,
    encoding="text",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="The answer for a small display: at most 3 lines of 80 characters.",
)
STREAM = Channel(
    name="stream",
    address="stream/{asset}",
    type=answers.StreamDelta,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    qos=0,
    summary="The model's answer while it is written.",
)
ALARM = Channel(
    name="alarm",
    address="alarm/{asset}",
    type=faults.Alarm,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="The alarm that stands on a machine.",
)
FLOOD = Channel(
    name="flood",
    address="flood/{area}",
    type=faults.Flood,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="More alarms in an area than a person can read.",
)
DOCUMENT = Channel(
    name="document",
    address="document/{doc_id}",
    type=knowledge.DocumentState,
    encoding="json",
    owner="ingest",
    readers=("client",),
    retain=True,
    summary="State and progress of a document.",
)
STATUS = Channel(
    name="status",
    address="status/{service}",
    type=health.ServiceStatus,
    encoding="json",
    owner="service",
    readers=("client", "orchestrator"),
    retain=True,
    summary="State of a service; `offline` is its will.",
)
MARK = Channel(
    name="mark",
    address="mark/{service}",
    type=str,
    encoding="text",
    owner="service",
    readers=("service",),
    retain=True,
    summary="By which a service knows whether the broker kept what it had retained.",
)
REPLY = Channel(
    name="reply",
    address="reply/{client_id}",
    type=bytes,
    encoding="any",
    owner="service",
    readers=("service",),
    summary="Where replies to a service's own requests come in.",
)

CHANNELS: tuple[Channel, ...] = (
    FAULT,
    ASK,
    FEEDBACK,
    ANSWER,
    DISPLAY,
    STREAM,
    ALARM,
    FLOOD,
    DOCUMENT,
    STATUS,
    MARK,
    REPLY,
)

SEARCH = Rpc(
    "retriever",
    "search",
    retrieval.Search,
    retrieval.Found,
    "Find the passages that answer.",
)
INDEX = Rpc(
    "retriever",
    "index",
    retrieval.IndexPassages,
    retrieval.Indexed,
    "Take a batch of passages; may come twice.",
)
ACTIVATE = Rpc(
    "retriever",
    "activate",
    retrieval.Activate,
    retrieval.Indexed,
    "Let a complete revision answer.",
)
DESCRIBE = Rpc(
    "retriever",
    "describe",
    retrieval.Describe,
    retrieval.Indexed,
    "Change what is said about a revision.",
)
PRUNE = Rpc(
    "retriever",
    "prune",
    retrieval.Prune,
    retrieval.Indexed,
    "Forget revisions that do not answer.",
)
FORGET = Rpc(
    "retriever",
    "remove",
    retrieval.RemovePassages,
    retrieval.Indexed,
    "Forget a document.",
)
CORPUS = Rpc(
    "retriever",
    "corpus",
    retrieval.CorpusQuery,
    retrieval.CorpusState,
    "What the corpus holds.",
)
UNITS = Rpc(
    "retriever",
    "units",
    retrieval.UnitQuery,
    retrieval.UnitList,
    "Which fault codes the manuals of an asset define.",
)
ADD = Rpc(
    "ingest",
    "add",
    knowledge.AddDocument,
    knowledge.AddedDocument,
    "Take a file into the library.",
)
DOCUMENTS = Rpc(
    "ingest",
    "documents",
    knowledge.ListDocuments,
    knowledge.DocumentList,
    "List the library.",
)
EDIT = Rpc(
    "ingest",
    "edit",
    knowledge.EditDocument,
    knowledge.EditedDocument,
    "Change what is said about a document.",
)
ROLLBACK = Rpc(
    "ingest",
    "rollback",
    knowledge.Rollback,
    knowledge.RolledBack,
    "Let a revision that was kept answer again.",
)
REMOVE = Rpc(
    "ingest",
    "remove",
    knowledge.RemoveDocument,
    knowledge.RemovedDocument,
    "Remove a document.",
)
GENERATE = Rpc(
    "llm_bridge",
    "generate",
    generation.Generate,
    generation.Piece,
    "Work out an answer with the language model.",
    streamed=True,
)
URGE = Rpc(
    "llm_bridge",
    "urge",
    generation.Urge,
    generation.Urged,
    "A request to generate became more urgent, or is not wanted any more.",
)
PROMPTS = Rpc(
    "orchestrator",
    "prompts",
    prompts.ListPrompts,
    prompts.PromptList,
    "Which prompts answer, or the versions of one.",
)
PROMPT = Rpc(
    "orchestrator",
    "prompt",
    prompts.ShowPrompt,
    prompts.PromptVersion,
    "A version of a prompt with its text.",
)
SAVE_PROMPT = Rpc(
    "orchestrator",
    "save_prompt",
    prompts.SavePrompt,
    prompts.SavedPrompt,
    "Keep a text as a new version of a prompt.",
)
ACTIVATE_PROMPT = Rpc(
    "orchestrator",
    "activate_prompt",
    prompts.ActivatePrompt,
    prompts.ActivatedPrompt,
    "Make new answers with a version of a prompt.",
)
ROLL_BACK_PROMPT = Rpc(
    "orchestrator",
    "roll_back_prompt",
    prompts.RollBackPrompt,
    prompts.ActivatedPrompt,
    "Let the version of a prompt answer that was active before.",
)
TRY_PROMPT = Rpc(
    "orchestrator",
    "try_prompt",
    prompts.TryPrompt,
    prompts.TriedPrompt,
    "Ask the model with another prompt, beside an answer of the past; nothing is kept.",
)
TRACE = Rpc(
    "orchestrator",
    "trace",
    prompts.TraceAnswer,
    prompts.Trace,
    "How an answer came about.",
)
MAKE_AGAIN = Rpc(
    "orchestrator",
    "make_again",
    prompts.MakeAgain,
    prompts.MadeAgain,
    "Make an answer again as it was made; nothing is kept.",
)
LIST_MODELS = Rpc(
    "llm_bridge",
    "models",
    models.ListModels,
    models.ModelList,
    "Which language models there are.",
)
USE_MODEL = Rpc(
    "llm_bridge",
    "use",
    models.UseModel,
    models.UseStep,
    "Change to another language model.",
    streamed=True,
)

RPCS: tuple[Rpc, ...] = (
    SEARCH,
    INDEX,
    ACTIVATE,
    DESCRIBE,
    PRUNE,
    FORGET,
    CORPUS,
    UNITS,
    ADD,
    DOCUMENTS,
    EDIT,
    ROLLBACK,
    REMOVE,
    GENERATE,
    URGE,
    PROMPTS,
    PROMPT,
    SAVE_PROMPT,
    ACTIVATE_PROMPT,
    ROLL_BACK_PROMPT,
    TRY_PROMPT,
    TRACE,
    MAKE_AGAIN,
    LIST_MODELS,
    USE_MODEL,
)

CALLS: dict[str, tuple[Rpc, ...]] = {
    "orchestrator": (SEARCH, CORPUS, UNITS, GENERATE, URGE),
    "ingest": (INDEX, ACTIVATE, DESCRIBE, PRUNE, FORGET, CORPUS),
    "cli": RPCS,
}
"""Who asks what; the broker lets nobody else."""

PROBLEM = errors.Problem
"""What comes instead of any reply when the request failed."""
