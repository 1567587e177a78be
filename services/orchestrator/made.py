"""What an answer was made with, as the ledger keeps it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.answers import Answer
from schemas.generation import Generate, Generated
from schemas.prompts import Doubted, Made
from services.orchestrator.grounding import Grounding
from services.orchestrator.templates import Prompt
from services.orchestrator.written import Bearing
from services.runtime.clock import now

_LONGEST_REQUEST = 16 * 2**20
"""Bytes; a damaged row must not unpack to more."""


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """All of it but the request."""

    prompt: str
    digest: str
    generated: Generated
    generation: int
    doubts: list[Doubted]
    share: float
    grounded: bool = True
    of_another: list[int] = []
    naming: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `made`, packed once for all answers that share it."""

    id: int
    body: bytes
    request: bytes
    created: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer of the model's, and what it was made with."""

    answer: Answer
    record: Record


def made(
    prompt: Prompt,
    request: Generate,
    generated: Generated,
    checked: Grounding,
    *,
    generation: int,
    bears: Bearing,
    least: float,
) -> Made:
    """Return what is to be known of an answer's making.

    Args:
        prompt: What the request was made with.
        request: What was asked.
        generated: What came of it.
        checked: What of that stands on the passages.
        generation: Of the corpus the passages are from.
        bears: What they have to do with the code asked for.
        least: The share of supported statements from which on it is grounded.
    """
    return Made(
        prompt=prompt.ref,
        digest=prompt.template.digest,
        request=request,
        generated=generated,
        generation=generation,
        doubts=doubted(checked),
        share=checked.share,
        grounded=checked.holds(least),
        of_another=bears.of_another,
        naming=bears.naming,
        created=now(),
    )


def doubted(checked: Grounding) -> list[Doubted]:
    """Return what does not stand."""
    return [Doubted(statement=doubt.statement, why=doubt.why) for doubt in checked.doubts]


def known_as(model: str, identity: str) -> str:
    """Return what tells a model from others, also from one of the same name."""
    return f"{model} {identity}".rstrip()


def packed(number: int, of: Made) -> Record:
    """Return a row of the ledger, under its number there."""
    body = _Body(
        prompt=of.prompt,
        digest=of.digest,
        generated=of.generated,
        generation=of.generation,
        doubts=of.doubts,
        share=of.share,
        grounded=of.grounded,
        of_another=of.of_another,
        naming=of.naming,
    )
    request = zlib.compress(msgspec.json.encode(of.request))
    return Record(number, msgspec.json.encode(body), request, of.created)


def read(row: Mapping[str, Any]) -> Made:
    """Return what a row says.

    Raises:
        ValueError: the row makes no sense; msgspec's errors are such.
    """
    body = msgspec.json.decode(row["body"], type=_Body)
    return Made(
        prompt=body.prompt,
        digest=body.digest,
        request=msgspec.json.decode(unpacked(row["request"]), type=Generate),
        generated=body.generated,
        generation=body.generation,
        doubts=body.doubts,
        share=body.share,
        grounded=body.grounded,
        of_another=body.of_another,
        naming=body.naming,
        created=row["created"],
    )


def unpacked(request: bytes) -> bytes:
    """Return a request's JSON. Raises ValueError where it is not one."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(request, _LONGEST_REQUEST)
    except zlib.error as error:
        raise ValueError(f"not a request: {error}") from error
    if not stream.eof:
        raise ValueError("not a whole request")
    return text
