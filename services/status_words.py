"""The facts of a status as a person reads them (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Facts = Mapping[str, str | int | float | bool]

_QUEUE = ("slots", "in_flight", "queued", "order", "waiting_s", "waited_ms")
_OF = "queued_"


def said(facts: Facts) -> Iterator[str]:
    """Yield what a service says of itself; what a queue says in words, the rest as it comes."""
    queue = all(name in facts for name in _QUEUE)
    for name, value in facts.items():
        if queue and (name in _QUEUE or name.startswith(_OF)):
            if name == "slots":
                yield from _queue(facts)
        elif name == "embedding_change" and value:
            yield f"embedding model changes: {value} passages"
        elif value != "":
            yield f"{name} {value}"


def _queue(facts: Facts) -> Iterator[str]:
    yield f"{facts['in_flight']} of {facts['slots']} slots at work"
    if facts["queued"]:
        depth = ", ".join(
            f"{value} {name.removeprefix(_OF)}"
            for name, value in facts.items()
            if name.startswith(_OF) and value
        )
        yield f"{facts['queued']} waiting ({depth})"
        yield f"the oldest for {facts['waiting_s']} s (next: {facts['order']})"
    if facts["waited_ms"]:
        yield f"half of the latest waited less than {facts['waited_ms']} ms"
