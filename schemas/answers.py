"""Questions people ask, the answers they get, and what they say of them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Language = Literal["en", "zh"]
"""Languages Andon answers in."""

Stage = Literal["passages", "final"]
AnsweredBy = Literal["model", "extract", "verified", "none"]
Scope = Literal["asset", "widened", "all"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question on `andon/ask/<client>`; plain text is a question alone."""

    question: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
    """What the person wants to know."""
    id: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    """The asker's own id, becomes the answer's; one is made when it is missing."""
    asset: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    """The machine in question: its manuals are searched first."""
    lang: Language | None = None
    """Language of the answer; the question's own when missing."""
    answer_to: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    """A topic of the asker's own that gets a copy of the answer (MQTT 3.1.1's response topic)."""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of an answer, on `andon/feedback/<answer id>`."""

    helpful: bool
    """Whether it helped."""
    by: Annotated[str, msgspec.Meta(max_length=128)] = ""
    """Who says so."""
    note: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    """What fixed it, or anything else worth keeping."""
    correction: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    """What the answer should have said."""


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a statement stands in the manuals."""

    n: int
    """Number by which the answer's text refers to it, from 1."""
    document: str
    """Title of the document."""
    file: str
    """File name."""
    doc_id: str
    """The library's id of the document."""
    revision: int
    """Revision of the document that was searched, from 1."""
    page: int | None
    """Physical page, from 1; null where the format has no pages."""
    section: str
    """Section path, levels joined by ` > `; empty where unknown."""
    quote: str
    """The passage's words that bear the answer."""
    score: float
    """Relevance, 0 to 1."""


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of one answer went, milliseconds."""

    queue: float = 0.0
    """From the message's arrival to the start of work."""
    retrieve: float = 0.0
    """Search in the manuals."""
    model: float = 0.0
    """Language model, 0 when none took part."""
    total: float = 0.0
    """From the message's arrival to this answer."""


class Extract(msgspec.Struct, frozen=True, kw_only=True):
    """What the manuals say by themselves, beside a model's answer that does not stand on them."""

    summary: str
    """One sentence."""
    causes: list[str] = []
    """Likely causes, most likely first."""
    actions: list[str] = []
    """What to do, in order."""
    text: str
    """The whole of it as text, with [n] referring to the answer's citations."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer on `andon/answer/…`; `passages` goes out at once, `final` replaces it."""

    id: str
    """The same for both stages, and for repeats."""
    stage: Stage
    """`passages` stands until `final` follows."""
    asset: str | None
    """The machine; null for a question without one."""
    code: str
    """Fault code, empty where there is none."""
    question: str
    """What was asked, or what the fault was turned into."""
    lang: Language
    """Language of the answer."""
    summary: str
    """One sentence."""
    causes: list[str] = []
    """Likely causes, most likely first; a model's only where the passages support them."""
    actions: list[str] = []
    """What to do, in order; a model's only where the passages support it."""
    text: str
    """The whole answer as text, with [n] referring to the citations. A model's sentences that the
    passages do not support stand last, each after `[not in the manuals]` or `［手册中未见］`."""
    citations: list[Citation] = []
    """Where it stands; empty when nothing relevant was found."""
    answered_by: AnsweredBy
    """`extract` was taken from passages without a model; `none` found nothing."""
    model: str = ""
    """Name of the language model, empty when none took part."""
    prompt: str = ""
    """Version of the prompt it was asked with, `fault.en@3`; empty when no model took part."""
    prepared: bool = False
    """Whether it was worked out before the fault."""
    grounded: bool = True
    """Whether it may stand as the manuals': true of their own words, and of a model's answer of
    whose sentences at least the share `grounded_share` is supported by what they cite, and which
    rests on a passage that has the fault's code. Single sentences that are not supported are marked
    in `text` in either case, and never in `causes` and `actions`."""
    extract: Extract | None = None
    """The manuals' own words, where `grounded` is false; null otherwise. Displays show these."""
    note: str = ""
    """What the reader should know of how it came about: no model, deadline over, unknown code."""
    scope: Scope = "all"
    """Searched: the asset's documents, all after those had nothing, or all from the start."""
    occurrences: int = 1
    """Reports of this alarm so far."""
    first_seen: str
    """First report, RFC 3339 UTC."""
    last_seen: str
    """Latest report, RFC 3339 UTC."""
    timings_ms: Timings = Timings()
    """Where the time went."""
    created: str
    """When this answer was made, RFC 3339 UTC."""
    trace: str = ""
    """W3C trace id, 32 hexadecimal digits."""


class StreamDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the model's answer while it is written, on `andon/stream/…`."""

    answer_id: str
    """The answer it will become."""
    seq: int
    """Number of the piece, from 0 without gaps."""
    delta: str
    """Readable text to append; not checked against the manuals yet, as the final answer is."""
    done: bool = False
    """Whether this was the last piece."""
