"""What is counted, under which name: messages in, Prometheus figures out (no I/O).

Names are those of Prometheus's conventions: base units, `_total` for counters. Counters begin at 0
when the process starts, as Prometheus expects. There is no label for machine or code: a plant has
thousands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.answers import Answer
from schemas.channels import ASKED
from schemas.faults import Alarm, Flood, Priority
from schemas.health import SERVICES, ServiceStatus

PRIORITIES: tuple[Priority, ...] = get_args(Priority)
_MIB = 1 << 20
_MOST = 10_000
"""Alarms and answers that are remembered, as many as the orchestrator does by default."""
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds to passages."""
_LONG = (0.05, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds to what a model wrote."""
_FACTS = {
    ("orchestrator", "jobs_open"): ("jobs_open", "Faults and questions that are worked on or wait"),
    ("orchestrator", "jobs_failed"): ("jobs_failed", "Work that failed for good"),
    ("orchestrator", "rejected"): ("messages_rejected", "Messages that could not be understood"),
    ("orchestrator", "outbox"): ("outbox_messages", "Messages the broker did not confirm yet"),
    ("orchestrator", "dropped"): ("messages_dropped", "Messages that came faster than was taken"),
    ("orchestrator", "prepared"): ("answers_prepared", "Fault codes with an answer prepared"),
    ("orchestrator", "to_prepare"): ("answers_to_prepare", "Fault codes whose answer is due"),
    ("retriever", "documents"): ("documents", "Documents that answer"),
    ("retriever", "passages"): ("passages", "Passages that answer"),
    ("retriever", "vectors"): ("vectors", "Passages that can be found by their meaning"),
    ("llm_bridge", "reachable"): ("model_up", "Whether the language model's server answers"),
    ("llm_bridge", "slots"): ("model_slots", "Requests the model works on at the same time"),
    ("llm_bridge", "in_flight"): ("model_requests_in_flight", "Requests the model works on"),
    ("llm_bridge", "prefix_reused"): (
        "model_prefix_reused_ratio",
        "Share of the unchanging prompt that came from the server's cache",
    ),
}
"""Figures of a status that are passed on: service and fact, then name and what it is."""
_QUEUED = "queued_"
_BROKER = {
    "$SYS/broker/clients/connected": ("clients_connected", "Clients connected to the broker"),
    "$SYS/broker/messages/received": ("messages_received", "Messages the broker received"),
    "$SYS/broker/messages/sent": ("messages_sent", "Messages the broker sent"),
    "$SYS/broker/publish/messages/dropped": (
        "publish_dropped",
        "Messages the broker dropped since a queue was full",
    ),
    "$SYS/broker/retained messages/count": ("messages_retained", "Messages the broker retains"),
    "$SYS/broker/store/messages/count": ("messages_stored", "Messages the broker holds"),
    "$SYS/broker/bytes/received": ("received_bytes", "Bytes the broker received"),
    "$SYS/broker/bytes/sent": ("sent_bytes", "Bytes the broker sent"),
    "$SYS/broker/heap/current": ("heap_bytes", "Memory the broker took"),
}
BROKER_TOPICS = tuple(_BROKER)
"""What Mosquitto says of itself (mosquitto(8), broker status)."""


class Figures:
    """All figures; each method takes note of one message."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"andon_{name}", f"{what}.", labels, registry=registry)

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"andon_{name}", f"{what}.", labels, registry=registry)

        self._up = gauge("service_up", "Whether a service runs", "service")
        self._well = gauge("service_ready", "Whether it has all that it needs", "service")
        self._memory = gauge("service_memory_bytes", "Proportional set size", "service")
        self._budget = gauge("service_memory_budget_bytes", "What it should stay under", "service")
        self._since = gauge(
            "service_start_time_seconds", "When it started, Unix time", "service", "version"
        )
        self._facts = {key: gauge(name, what) for key, (name, what) in _FACTS.items()}
        self._queued = gauge("model_requests_queued", "Requests that wait", "priority")
        self._breaker = gauge("model_breaker_open", "Whether the model is being spared")
        self._broker = {
            topic: gauge(f"broker_{name}", what) for topic, (name, what) in _BROKER.items()
        }
        self._answers = counter(
            "answers", "Answers published", "kind", "stage", "answered_by", "prepared", "grounded"
        )
        self._faults = counter("fault_reports", "Reports of alarms, repetitions too", "priority")
        self._alarms = gauge(
            "assets_in_alarm", "Machines with an alarm that stands, by the most urgent", "priority"
        )
        self._floods = gauge("floods_active", "Areas with more alarms than a person can read")
        self._first = Histogram(
            "andon_first_answer_seconds",
            "From the report to the first answer, passages or final.",
            ["kind"],
            buckets=_SHORT,
            registry=registry,
        )
        self._final = Histogram(
            "andon_final_answer_seconds",
            "From the report to the final answer.",
            ["kind", "answered_by"],
            buckets=_LONG,
            registry=registry,
        )
        self._retrieve = Histogram(
            "andon_retrieve_seconds", "A search.", buckets=_SHORT, registry=registry
        )
        self._model = Histogram(
            "andon_model_seconds", "The language model's work.", buckets=_LONG, registry=registry
        )
        self._standing: dict[str, Alarm] = {}
        """By asset, the one that its topic tells of: the most urgent."""
        self._reported: dict[tuple[str, str], tuple[str, int]] = {}
        """When an alarm began and how often it was reported, by asset and code, latest last."""
        self._early: dict[str, None] = {}
        """Ids of answers whose passages stand and whose final stage is to come, latest last."""
        self._flooded: set[str] = set()
        for service in SERVICES:
            self._up.labels(service).set(0)
        for priority in PRIORITIES:
            self._alarms.labels(priority).set(0)
            self._faults.labels(priority)

    def status(self, said: ServiceStatus) -> None:
        """Take note of how a service is."""
        name = said.service
        up = said.state not in {"offline", "starting"}
        self._up.labels(name).set(up)
        self._well.labels(name).set(said.state == "ready")
        self._memory.labels(name).set(said.memory_mb * _MIB)
        self._budget.labels(name).set(said.budget_mb * _MIB)
        if up and said.since:
            started = datetime.fromisoformat(said.since).timestamp()
            self._since.labels(name, said.version).set(started)
        self._take_facts(name, said.facts)

    def _take_facts(self, service: str, facts: Mapping[str, str | int | float | bool]) -> None:
        for fact, value in facts.items():
            gauge = self._facts.get((service, fact))
            if gauge is not None and not isinstance(value, str):
                gauge.set(value)
        if service == "llm_bridge":
            for fact, value in facts.items():
                if fact.startswith(_QUEUED) and not isinstance(value, str):
                    self._queued.labels(fact.removeprefix(_QUEUED)).set(value)
            self._breaker.set(facts.get("breaker") == "open")

    def answer(self, place: str, answer: Answer) -> None:
        """Take note of an answer; `place` is the last part of its topic."""
        kind = "question" if place.startswith(ASKED) else "fault"
        self._answers.labels(
            kind, answer.stage, answer.answered_by, _yes(answer.prepared), _yes(answer.grounded)
        ).inc()
        took = answer.timings_ms
        if answer.id not in self._early:
            self._first.labels(kind).observe(took.total / 1000)
            self._retrieve.observe(took.retrieve / 1000)
        if answer.stage == "passages":
            self._early[answer.id] = None
            if len(self._early) > _MOST:
                del self._early[next(iter(self._early))]
            return
        self._early.pop(answer.id, None)
        self._final.labels(kind, answer.answered_by).observe(took.total / 1000)
        if answer.answered_by == "model" and not answer.prepared:
            self._model.observe(took.model / 1000)

    def alarm(self, asset: str, alarm: Alarm | None, *, retained: bool) -> None:
        """Take note of a machine's alarm; None where none stands any more.

        What is retained was reported before this process came.
        """
        if alarm is not None:
            self._count(asset, alarm, retained=retained)
        if alarm is not None and alarm.state == "active":
            self._standing[asset] = alarm
        else:
            self._standing.pop(asset, None)
        for priority in PRIORITIES:
            count = sum(one.priority == priority for one in self._standing.values())
            self._alarms.labels(priority).set(count)

    def _count(self, asset: str, alarm: Alarm, *, retained: bool) -> None:
        """Count the reports that came since the last message about an alarm."""
        known = self._reported.pop((asset, alarm.code), ("", 0))
        before = known[1] if known[0] == alarm.first_seen else 0
        if not retained:
            self._faults.labels(alarm.priority).inc(max(alarm.occurrences - before, 0))
        self._reported[asset, alarm.code] = (alarm.first_seen, alarm.occurrences)
        if len(self._reported) > _MOST:
            del self._reported[next(iter(self._reported))]

    def flood(self, area: str, flood: Flood | None) -> None:
        """Take note of a flood; None where that is over and forgotten."""
        if flood is not None and flood.active:
            self._flooded.add(area)
        else:
            self._flooded.discard(area)
        self._floods.set(len(self._flooded))

    def broker(self, topic: str, payload: bytes) -> None:
        """Take note of a figure of the broker's; one that is no number is left out."""
        gauge = self._broker.get(topic)
        number = payload.split(maxsplit=1)[0] if payload.strip() else b""
        if gauge is not None and number.isdigit():
            gauge.set(int(number))


def _yes(value: bool) -> str:
    return "true" if value else "false"
