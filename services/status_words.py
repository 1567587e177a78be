"""The facts of a status as a person reads them (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Facts = Mapping[str, str | int | float | bool]

_QUEUE = ("slots", "in_flight", "queued", "order", "waiting_s", "waited_ms")
_OF = "queued_"
_BACKGROUND = "queued_background"
_PREPARED = ("prepared", "prepared_of", "to_prepare", "not_grounded", "in_no_manual")
_ASSET = "prepared "
_LANGS = "prepared_in"
_HIDDEN = ("identity", "unreachable", "mend")
"""For programs."""


def said(facts: Facts) -> Iterator[str]:
    """Yield what a service says of itself; what a queue says in words, the rest as it comes."""
    queue = all(name in facts for name in _QUEUE)
    prepared = all(name in facts for name in _PREPARED)
    for name, value in facts.items():
        if queue and (name in _QUEUE or name.startswith(_OF)):
            if name == "slots":
                yield from _queue(facts)
        elif name == "embedding_change" and value:
            yield f"embedding model changes: {value} passages"
        elif prepared and name in (*_PREPARED, _LANGS):
            if name == "prepared":
                yield _prepared(facts)
        elif value != "" and name not in _HIDDEN and not name.startswith(_ASSET):
            yield f"{name} {value}"


def by_asset(facts: Facts) -> Iterator[str]:
    """Yield how far the preparations are for each asset."""
    for name, value in facts.items():
        if name.startswith(_ASSET):
            yield f"{name.removeprefix(_ASSET)}: prepared {value}"


def _prepared(facts: Facts) -> str:
    rest = ", ".join(
        f"{facts[name]} {words}"
        for name, words in (
            ("to_prepare", "to do"),
            ("not_grounded", "not grounded"),
            ("in_no_manual", "in no manual"),
        )
        if facts[name]
    )
    said = f"prepared {facts['prepared']} of {facts['prepared_of']} codes"
    if ", " in (langs := str(facts.get(_LANGS, ""))):
        said += f" in {langs}"  # each code is counted in each
    return f"{said} ({rest})" if rest else said


def _queue(facts: Facts) -> Iterator[str]:
    yield f"{facts['in_flight']} of {facts['slots']} slots at work"
    # Nobody waits for what is prepared: it has been cut off, or has its turn when all others had.
    later = int(facts.get(_BACKGROUND, 0))
    if waiting := int(facts["queued"]) - later:
        depth = ", ".join(
            f"{value} {name.removeprefix(_OF)}"
            for name, value in facts.items()
            if name.startswith(_OF) and name != _BACKGROUND and value
        )
        yield f"{waiting} waiting ({depth})"
        oldest = "" if later else f"the oldest for {facts['waiting_s']} s; "
        yield f"{oldest}next: {facts['order']}"
    if later:
        yield (
            "a preparation waits its turn"
            if later == 1
            else f"{later} preparations wait their turn"
        )
    if facts["waited_ms"]:
        waited_ms = float(facts["waited_ms"])
        told = f"{waited_ms / 1000:.1f} s" if waited_ms >= 1000 else f"{waited_ms:g} ms"
        yield f"half of the latest waited less than {told}"
