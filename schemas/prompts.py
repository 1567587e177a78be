"""Prompts in versions, what an answer was made with, and trying one against the other."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from schemas.answers import Answer
from schemas.generation import Generate, Generated
from schemas.paging import PAGE, PageLimit

PromptName = Literal["fault.en", "fault.zh", "ask.en", "ask.zh"]
"""What is answered, and in which language."""

_Text = Annotated[str, msgspec.Meta(max_length=16_000)]
_Note = Annotated[str, msgspec.Meta(max_length=1_000)]
_Author = Annotated[str, msgspec.Meta(max_length=128)]
_AnswerId = Annotated[str, msgspec.Meta(min_length=1)]
_Version = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class PromptVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a prompt; it never changes."""

    name: PromptName
    """Which prompt."""
    version: int
    """From 1; 0 is the file that ships with Andon."""
    active: bool
    """Whether answers are made with it."""
    newest: int
    """The newest version there is of this prompt."""
    digest: str
    """SHA-256 of its text, hexadecimal."""
    note: str = ""
    """What it is for."""
    author: str = ""
    """Who saved it."""
    created: str = ""
    """When it was saved, RFC 3339 UTC; empty for the file that ships."""
    text: str = ""
    """The template; empty in lists."""


class ListPrompts(msgspec.Struct, frozen=True, kw_only=True):
    """Which prompts answer, or all versions of one."""

    name: PromptName | None = None
    """All versions of this one; null: the active version of each."""
    after: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)] = -1
    """Versions behind this number."""
    limit: PageLimit = PAGE
    """How many at most."""


class PromptList(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts without their texts."""

    prompts: list[PromptVersion]
    """By name and number."""
    next: int = 0
    """Ask again with `after` set to it; 0: that is all."""


class ShowPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """One version with its text."""

    name: PromptName
    """Which prompt."""
    version: _Version | None = None
    """Which version; null: the active one."""


class SavePrompt(msgspec.Struct, frozen=True, kw_only=True):
    """Keep a text as the next version; the newest one's text again is no new version."""

    name: PromptName
    """Which prompt."""
    text: _Text
    """The template."""
    note: _Note = ""
    """What it is for."""
    author: _Author = ""
    """Who saves it."""
    activate: bool = False
    """Whether answers are made with it from now on."""


class SavedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The version a text is."""

    prompt: PromptVersion
    """It, without the text."""
    unchanged: bool
    """The newest version had this text already: nothing was saved."""


class ActivatePrompt(msgspec.Struct, frozen=True, kw_only=True):
    """Make new answers with a version from now on; answers being written keep theirs."""

    name: PromptName
    """Which prompt."""
    version: _Version
    """Which version; 0: the file that ships."""
    author: _Author = ""
    """Who wants it."""


class RollBackPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """Let the version answer again that was active before the one that is."""

    name: PromptName
    """Which prompt."""
    author: _Author = ""
    """Who wants it."""


class ActivatedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """What answers now."""

    prompt: PromptVersion
    """The version, without its text."""
    before: int
    """The version that was active until now."""


class Doubted(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of the model's that does not stand on its passages."""

    statement: str
    """As the model wrote it."""
    why: str
    """What is wrong with it."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What the model was asked and what it gave: enough to make the same answer again."""

    prompt: str
    """Version of the prompt, `fault.en@3`."""
    digest: str
    """SHA-256 of the template, hexadecimal."""
    request: Generate
    """The whole request, the passages' texts included."""
    generated: Generated
    """What came of it, with model, seed, temperature, times, and the passages left out."""
    generation: int
    """Of the corpus the passages are from."""
    doubts: list[Doubted] = []
    """What of the model's words does not stand on the passages."""
    share: float = 1.0
    """Statements that stand among all, 0 to 1."""
    grounded: bool = True
    """Whether it may stand as the manuals', as `Answer.grounded`."""
    of_another: list[int] = []
    """Numbers of the passages that are the entry of another fault than was asked about."""
    naming: list[int] | None = None
    """Numbers of the passages that have the code asked for; null where none was."""
    created: str
    """When it was written, RFC 3339 UTC."""


class TraceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer came about."""

    answer_id: _AnswerId
    """Of the answer; or where it was given, for the latest one there: `plant/motor7`."""
    place: str = ""
    """Where it was given, asset or `ask/<client>`; needed where askers chose the same id."""


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """A state the work on an answer was in."""

    state: Literal["due", "working", "done", "failed"]
    """The state."""
    since: str
    """From when on, RFC 3339 UTC."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer came about."""

    answer: Answer
    """The answer as it stands."""
    place: str
    """Where it was given."""
    history: list[JobState]
    """What its work went through, oldest first."""
    reason: str = ""
    """Why the work was given up; empty where it was not."""
    made: Made | None = None
    """What the model was asked and gave; null where no model took part."""
    written_for: str = ""
    """The answer it was written for, where that is another one to the same question."""


class MakeAgain(msgspec.Struct, frozen=True, kw_only=True):
    """Make an answer again: the same request and seed. Nothing is published or kept."""

    answer_id: _AnswerId
    """As in `TraceAnswer`."""
    place: str = ""
    """As in `TraceAnswer`."""


class MadeAgain(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    before: Made
    """What the answer was made with."""
    generated: Generated
    """What the model gave now."""
    differences: list[str]
    """What is not the same: `model`, `summary`, `causes`, …; empty where all is."""
    doubts: list[Doubted] = []
    """What of the words of now does not stand on the passages."""
    share: float = 1.0
    """Statements of now that stand among all, 0 to 1."""
    grounded: bool = True
    """Whether the answer of now may stand as the manuals'."""


class TryPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the model with another prompt what an answer was made of. Nothing is published or kept.

    Where no model took part in that answer, its passages are searched for again.
    """

    name: PromptName
    """Which prompt."""
    answer_id: _AnswerId
    """As in `TraceAnswer`."""
    place: str = ""
    """As in `TraceAnswer`."""
    version: _Version | None = None
    """Which version; null: the text, or the active one."""
    text: _Text = ""
    """A template that is not saved."""


class TriedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The answer beside the old one."""

    before: Answer
    """The answer as it stands."""
    former: Made | None
    """What that was made with; null where no model took part, and the passages are those that are
    found now."""
    made: Made
    """What the model was asked and gave now."""
