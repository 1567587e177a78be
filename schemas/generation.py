"""What the language model is asked and what it gives back."""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.answers import Language
from schemas.faults import Priority


class PromptPassage(msgspec.Struct, frozen=True, kw_only=True):
    """A passage the model may rest on."""

    n: int
    """Its number in the answer, from 1."""
    source: str
    """Title and page, for the model to see."""
    text: str
    """Its words."""


class Generate(msgspec.Struct, frozen=True, kw_only=True):
    """Work out an answer from passages; replies are streamed as `Piece`."""

    id: str
    """By which `Urge` finds it: the answer's, and what tells this request from others for it."""
    system: str
    """Standing instructions."""
    question: Annotated[str, msgspec.Meta(min_length=1)]
    """What is asked."""
    passages: list[PromptPassage]
    """Best first: the last are dropped when the context is too small."""
    lang: Language
    """Language of the answer."""
    priority: Priority = "warning"
    """How urgent."""
    max_tokens: Annotated[int, msgspec.Meta(ge=16, le=8192)] = 512
    """Room for the answer, tokens."""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    """0 is always the same answer; null: the bridge's own setting."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 2)] | None = None
    """Of the model's choices: the same seed and request make the same answer; null: any."""
    background: bool = False
    """Whether nobody waits for it: it runs only while no other request does, and makes room."""


class Urge(msgspec.Struct, frozen=True, kw_only=True):
    """A request to generate became more urgent, or is not wanted any more."""

    id: str
    """Of the request."""
    priority: Priority | None
    """How urgent it is now; null: nobody waits for its answer, and it may end."""


class Urged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    known: bool
    """Whether there is such a request."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One statement and the passages it rests on."""

    text: str
    """The statement."""
    passages: list[int] = []
    """Numbers of the passages."""


class TextDelta(msgspec.Struct, frozen=True, kw_only=True, tag="delta"):
    """Readable text as it is written."""

    text: str
    """To append to what came before."""


class Generated(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The whole answer; the last piece."""

    summary: str
    """One sentence."""
    causes: list[Point]
    """Likely causes."""
    actions: list[Point]
    """What to do."""
    model: str
    """Name of the model that wrote it."""
    identity: str = ""
    """Of that model: another one has another, also under the same name; empty: not known."""
    passages_used: int
    """How many of the passages fitted."""
    left_out: list[int] = []
    """Numbers of the passages that did not fit."""
    shortened: list[int] = []
    """Numbers of the passages that were cut at a sentence's end."""
    temperature: float = 0.0
    """It was written with."""
    seed: int = 0
    """It was written with."""
    prompt_tokens: int = 0
    """Tokens read."""
    cached_tokens: int = 0
    """Of these, reused from the server's cache."""
    answer_tokens: int = 0
    """Tokens written."""
    first_token_ms: float = 0.0
    """From the request to the first token."""
    total_ms: float = 0.0
    """From the request to the last."""


Piece = TextDelta | Generated
"""What a streamed reply is made of."""
