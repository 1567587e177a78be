"""What an answer was made with, as the ledger keeps it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.answers import Answer
from schemas.generation import Generate, Generated
from schemas.prompts import Made
from services.orchestrator.templates import Prompt
from services.runtime.clock import now

_LONGEST_REQUEST = 16 * 2**20
"""Bytes; a damaged row must not unpack to more."""


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """All of it but the request."""

    prompt: str
    digest: str
    generated: Generated
    generation: int


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


def record(
    number: int, prompt: Prompt, request: Generate, generated: Generated, generation: int
) -> Record:
    """Return what is kept of an answer's making.

    Args:
        number: Its number in the ledger.
        prompt: What the request was made with.
        request: What was asked.
        generated: What came of it.
        generation: Of the corpus the passages are from.
    """
    body = _Body(
        prompt=prompt.ref,
        digest=prompt.template.digest,
        generated=generated,
        generation=generation,
    )
    packed = zlib.compress(msgspec.json.encode(request))
    return Record(number, msgspec.json.encode(body), packed, now())


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
