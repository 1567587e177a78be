"""What arrives becomes ledger entries: decoded once, at the edge (no socket, no database)."""

from __future__ import annotations

import codecs
import re
import secrets

import msgspec
from msgspec.structs import replace

from schemas.answers import Answer, Ask
from schemas.channel import topic_trouble
from schemas.channels import ANSWER, ASK, ASKED, FEEDBACK
from schemas.errors import RejectedEvent
from schemas.faults import Fault
from services.orchestrator import effects, sparkplug, triggers
from services.orchestrator.alarms import key_of
from services.orchestrator.births import Sparkplug
from services.orchestrator.board import Board, Changes
from services.orchestrator.deeds import deeds
from services.orchestrator.language import language_of
from services.orchestrator.notes import note
from services.orchestrator.publication import given
from services.orchestrator.records import Copy, Deeds, Entry, Outgoing, Refusal, Work
from services.orchestrator.redelivered import digest_of
from services.runtime.config import Config, Trigger
from services.runtime.errors import Rejected
from services.runtime.messages import Delivery, topic_matches

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_HEAD = 256


def filters(config: Config) -> list[str]:
    """Return the subscriptions."""
    own = [ASK.filter(config.prefix), FEEDBACK.filter(config.prefix)]
    return list(dict.fromkeys([t.topic for t in config.orchestrator.triggers] + own))


class Intake:
    """Turns deliveries into entries; keeps the board of alarms."""

    def __init__(self, config: Config, board: Board) -> None:
        self._config = config.orchestrator
        self._prefix = config.prefix
        self._board = board
        named = [triggers.metrics_of(t) for t in self._config.triggers if t.format == "sparkplug"]
        self._sparkplug = Sparkplug(set[str]().union(*named))
        self._unborn: set[tuple[str, str]] = set()
        self._bare = {c.filter(self._prefix).rstrip("/+#") for c in (ASK, FEEDBACK)}

    def read(self, delivery: Delivery, received: str, at: float) -> list[Entry] | Refusal:
        """Return what a message adds to the ledger, or why it cannot be used.

        Args:
            delivery: the message.
            received: RFC 3339 UTC.
            at: the same, seconds since 1970.
        """
        try:
            entries = self._read(delivery, received, at)
            digest = digest_of(delivery)
            return [replace(entry, digest=digest) for entry in entries]
        except Rejected as error:
            reason = str(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason = f"read {delivery.topic}: {error}"
        except RecursionError:
            reason = f"read {delivery.topic}: nested too deeply"
        event = RejectedEvent(
            topic=delivery.topic,
            reason=reason,
            head=delivery.payload[:_HEAD].decode("utf-8", "backslashreplace"),
            size=len(delivery.payload),
            received=received,
        )
        return Refusal(event, self._told(event, at))

    def _told(self, event: RejectedEvent, at: float) -> tuple[Outgoing, ...]:
        """Return the answer to a question that could not be read: a scanner must not wait."""
        found = ASK.parameters(event.topic, self._prefix)
        if not found:
            return ()
        said = note("unreadable", self._config.lang).format(reason=event.reason)
        answer = Answer(
            id=new_id(at),
            stage="final",
            asset=None,
            code="",
            question="",
            lang=self._config.lang,
            summary=said,
            text=said,
            answered_by="none",
            note=said,
            first_seen=event.received,
            last_seen=event.received,
            created=event.received,
        )
        place = ASKED + found["client"]
        return tuple(given(answer, self._prefix, place, self._config.answers_stand_s))

    def tick(self, at: float) -> Deeds | None:
        """Return what time brings about for the alarms; None for nothing.

        Args:
            at: now, seconds since 1970.
        """
        effects = self._board.tick(at)
        return deeds(effects, self._prefix, "", _no_work) if effects else None

    def changes(self) -> Changes:
        """Return the alarms and areas that are different since the last commit."""
        return self._board.changes()

    def committed(self) -> None:
        """Take note that the ledger has what was read so far."""
        self._board.commit()
        self._sparkplug.keep()

    def restore(self) -> None:
        """Go back to what was known at the last commit, after one that failed."""
        self._board.rollback()
        self._sparkplug.restore()

    def rebirths(self) -> set[tuple[str, str]]:
        """Return group and id of the edge nodes to be asked for their births, each time anew."""
        wanted, self._unborn = self._unborn, set()
        return wanted

    def _read(self, delivery: Delivery, received: str, at: float) -> list[Entry]:
        limit = self._config.max_payload_kb * 1024
        if len(delivery.payload) > limit:
            raise Rejected(
                f"read {delivery.topic}",
                f"{len(delivery.payload)} bytes, at most {limit} are read",
                "publish the code and a short text only, or raise max_payload_kb",
            )
        trace = trace_of(delivery)
        if found := ASK.parameters(delivery.topic, self._prefix):
            return [self._ask(delivery, found["client"], received, trace, at)]
        if found := FEEDBACK.parameters(delivery.topic, self._prefix):
            message = FEEDBACK.decode(delivery.payload)
            answer_id = found["answer_id"]
            return [Entry(delivery.topic, message, received, trace, answer_id=answer_id)]
        if delivery.topic.rstrip("/") in self._bare:
            raise Rejected(
                f"read {delivery.topic}",
                "the last level is missing",
                "ask on andon/ask/<your name>",
            )
        if delivery.topic.startswith(f"{self._prefix}/"):
            return []  # a trigger as wide as `#` also brings our own words back to us
        trigger = next(t for t in self._config.triggers if topic_matches(t.topic, delivery.topic))
        if trigger.format == "sparkplug":
            return self._metrics(trigger, delivery, received, trace, at)
        fault = triggers.read(
            trigger,
            delivery.topic,
            delivery.payload,
            lang=self._config.lang,
            received=received,
            trace=trace,
        )
        return self._fault(fault, delivery, at, repeated=delivery.retain)

    def _metrics(
        self, trigger: Trigger, delivery: Delivery, received: str, trace: str, at: float
    ) -> list[Entry]:
        """Return what a message of an edge node adds: mostly nothing, as most tell no fault."""
        address = sparkplug.address(delivery.topic)
        if address is None:
            return []
        told = self._sparkplug.take(address, sparkplug.decode(delivery.payload))
        if told.rebirth:
            self._unborn.add((address.group, address.edge))
        read = triggers.read_metrics(
            trigger,
            delivery.topic,
            address,
            told,
            lang=self._config.lang,
            received=received,
            trace=trace,
        )
        if read is None:
            return []
        fault, new = read
        if fault.state == "cleared" and not self._board.active(fault.asset):
            return []
        return self._fault(fault, delivery, at, repeated=not new)

    def _ask(self, delivery: Delivery, client: str, received: str, trace: str, at: float) -> Entry:
        payload = delivery.payload.removeprefix(codecs.BOM_UTF8).strip()
        if payload.startswith(b"{"):
            ask: Ask = ASK.decode(payload)
        else:
            ask = msgspec.convert({"question": payload.decode()}, Ask)
        if not ask.question.strip():
            raise Rejected(f"read {delivery.topic}", "the question is empty")
        copies = self._copies(delivery)
        if ask.answer_to:
            copies.append(Copy(topic=self._own(ask.answer_to, delivery.topic)))
        work = Work(
            answer_id=ask.id or new_id(at),
            place=ASKED + client,
            asset=ask.asset or None,
            code="",
            question=ask.question.strip(),
            lang=ask.lang or language_of(ask.question, self._config.lang),
            priority="warning",
            trace=trace,
            copies=copies,
            first_seen=received,
            last_seen=received,
        )
        return Entry(delivery.topic, ask, received, trace, work=work)

    def _fault(self, fault: Fault, delivery: Delivery, at: float, *, repeated: bool) -> list[Entry]:
        key = key_of(fault)
        standing = self._board.get(fault.asset, key)
        if repeated and fault.state == "active" and standing is not None and standing.active:
            # The broker repeats a retained fault at each reconnect, a birth the code that stands.
            return []
        copies = self._copies(delivery)

        def work(effect: effects.Answer | effects.Repeat) -> Work | None:
            if effect.key != key:
                return None
            return Work(
                answer_id=effect.alarm.answer_id,
                place=fault.asset,
                asset=fault.asset,
                code=fault.code,
                key=effect.key,
                question=fault.question,
                text=fault.text,
                lang=fault.lang,
                priority=effect.alarm.priority,
                trace=fault.trace,
                copies=copies,
                occurrences=effect.alarm.occurrences,
                first_seen=effect.alarm.first_seen,
                last_seen=effect.alarm.last_seen,
            )

        wanted = self._board.report(fault, at, answer_id=new_id(at))
        done = deeds(wanted, self._prefix, fault.trace, work)
        return [Entry(fault.topic, fault, fault.received, fault.trace, deeds=done)]

    def _copies(self, delivery: Delivery) -> list[Copy]:
        """Return where an MQTT 5 sender wants the answer."""
        topic = delivery.properties.response_topic
        if not topic:
            return []
        correlation = delivery.properties.correlation
        return [Copy(topic=self._own(topic, delivery.topic), correlation=correlation)]

    def _own(self, topic: str, source: str) -> str:
        """Return a topic the asker may have the answer on: never one of Andon's own.

        Otherwise an asker could have us publish where the broker forbids it to.
        """
        asked = ANSWER.topic(self._prefix, asset=ASKED.rstrip("/")) + "/"
        forbidden = topic.startswith((f"{self._prefix}/", "$")) and not topic.startswith(asked)
        trigger = any(topic_matches(t.topic, topic) for t in self._config.triggers)
        allowed = any(topic_matches(wanted, topic) for wanted in self._config.answer_topics)
        why = topic_trouble(topic) or (
            "" if allowed and not (forbidden or trigger) else "not yours"
        )
        if why:
            raise Rejected(
                f"read {source}",
                f"no answer can be sent to {topic[:80]!r}: {why}",
                f"name a topic of your own, outside {self._prefix}/, of no trigger, and among"
                " the configured answer_topics",
            )
        return topic


def new_id(at: float) -> str:
    """Return an id for an answer, 32 hexadecimal digits, those of later ones behind it.

    Answers given one after the other lie side by side in the ledger's index: one page to write
    and not one each.

    Args:
        at: now, seconds since 1970.
    """
    return f"{int(at * 1000):012x}{secrets.token_hex(10)}"


def trace_of(delivery: Delivery) -> str:
    """Return the W3C trace id a message carries, a new one where it carries none."""
    match = _TRACEPARENT.fullmatch(delivery.properties.traceparent or "")
    return match[1] if match else secrets.token_hex(16)


def _no_work(_: effects.Answer | effects.Repeat) -> None:
    """Only a report makes new work, not time."""
