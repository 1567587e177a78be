"""`andon trace`: how an answer came about, told to a person."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from schemas.answers import Answer
from schemas.channels import MAKE_AGAIN, TRACE
from schemas.generation import Generated
from schemas.prompts import Made, MadeAgain, MakeAgain, Trace, TraceAnswer
from services.commands import FAILED, OK, talk
from services.runtime.config import Config
from services.terminal import print_json, say, tell

_LABEL = 11
_SHOWN = 120
"""Characters of a statement that is named; whole it stands below."""


def trace(options: argparse.Namespace) -> int:
    """Show how an answer came about, or have it made again."""

    async def again(client: Any, _config: Config) -> int:
        working(options)
        request = MakeAgain(answer_id=options.answer, place=options.place)
        made: MadeAgain = await client.call(MAKE_AGAIN, request, deadline_s=options.timeout)
        if options.json:
            print_json(made)
        elif made.differences:
            tell(f"not the same: {', '.join(made.differences)}")
            for name in made.differences:
                tell(f"--- {name}: {_plain(getattr(made.before.generated, name))}")
                tell(f"+++ {name}: {_plain(getattr(made.generated, name))}")
            rows(doubts(made))
        else:
            tell(words(made.generated))
            tell()
            rows(doubts(made))
            tell("\nthe same, word for word")
        return FAILED if made.differences else OK

    async def look(client: Any, _config: Config) -> int:
        request = TraceAnswer(answer_id=options.answer, place=options.place)
        found: Trace = await client.call(TRACE, request)
        if options.json:
            print_json(found)
        else:
            rows(_story(found))
        return OK

    return talk(options, again if options.again else look)


def working(options: argparse.Namespace) -> None:
    """Say that it may take a while."""
    if not options.json:
        say("… the language model is working on it")


def rows(said: Iterable[tuple[str, str]]) -> None:
    """Print lines, each with its label."""
    for label, text in said:
        tell(f"{label:<{_LABEL}} {text}".rstrip())


def _story(found: Trace) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of an answer, each with its label."""
    answer, made = found.answer, found.made
    yield "answer", f"{answer.id}, {answer.stage}, for {found.place}"
    yield "question", answer.question
    yield "by", _by(answer)
    if answer.note:
        yield "note", answer.note
    if found.reason:
        yield "given up", found.reason
    if made:
        yield from _making(made, found.written_for)
    else:
        yield "model", "none took part"
        for c in answer.citations:
            yield "passage" if c.n == 1 else "", f"[{c.n}] {_source(c.document, c.page)}"
    times = answer.timings_ms
    spent = msgspec.structs.asdict(times).items()
    yield "times", ", ".join(f"{name} {ms:g} ms" for name, ms in spent if ms)
    for n, state in enumerate(found.history):
        yield "" if n else "work", f"{state.since} {state.state}"
    if made:
        yield from doubts(made)
        yield "it wrote", ""
        yield from (("", line) for line in words(made.generated).splitlines())


def _by(answer: Answer) -> str:
    grounded = "" if answer.grounded else ", not grounded"
    prepared = ", prepared" if answer.prepared else ""
    return f"{answer.answered_by}{prepared}{grounded}, {answer.created}"


def _source(document: str, page: int | None) -> str:
    return f"{document}, p. {page}" if page else document


def _making(made: Made, written_for: str) -> Iterator[tuple[str, str]]:
    request, got = made.request, made.generated
    yield "prompt", f"{made.prompt} (sha256 {made.digest[:12]})"
    which = f" ({got.identity})" if got.identity else ""
    yield "model", f"{got.model}{which}, temperature {got.temperature:g}, seed {got.seed}"
    yield "corpus", f"generation {made.generation}"
    if written_for == "prepared":
        yield "prepared", f"before the fault, {made.created}"
    elif written_for:
        yield "shared", f"written for the answer {written_for}, {made.created}"
    unseen = {passage.n for passage in request.passages[got.passages_used :]} | {*got.left_out}
    for place, passage in enumerate(request.passages):
        state = "left out" if passage.n in unseen else ""
        state = state or ("shortened" if passage.n in got.shortened else "")
        told = f"[{passage.n}] {passage.source}, {len(passage.text)} characters"
        yield "" if place else "passages", told + (f": {state}" if state else "")
    yield (
        "tokens",
        (
            f"{got.prompt_tokens} read, {got.cached_tokens} of them from the cache;"
            f" {got.answer_tokens} written"
        ),
    )
    yield "speed", f"first token after {got.first_token_ms:g} ms, all after {got.total_ms:g} ms"


def doubts(made: Made | MadeAgain) -> Iterator[tuple[str, str]]:
    """Yield how much of an answer stands on the passages, and what does not."""
    grounded = "" if made.grounded else ": not grounded"
    yield "stands", f"{made.share:.0%} of its statements{grounded}"
    for n, one in enumerate(made.doubts):
        yield "" if n else "doubts", f"{_short(one.statement)!r}: {_short(one.why)}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN else f"{flat[:_SHOWN]} …"


def words(got: Generated) -> str:
    """Return what the model wrote, as text."""
    lines = [got.summary]
    for title, points in (("Causes", got.causes), ("Actions", got.actions)):
        lines += [title] if points else []
        for n, point in enumerate(points, 1):
            lines.append(f"{n}. {point.text}{''.join(f' [{p}]' for p in point.passages)}")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return msgspec.json.encode(value).decode()
