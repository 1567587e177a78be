"""The form a model's answer takes: its JSON schema, and how it is read (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from schemas.answers import Language
from schemas.generation import Point
from services.llm_bridge.errors import SERVER, BrokenOutput
from services.llm_bridge.json_stream import Event, JsonStream

_HEADINGS: dict[Language, dict[str, str]] = {
    "en": {"causes": "Causes", "actions": "Actions"},
    "zh": {"causes": "可能原因", "actions": "处理措施"},
}
_CHARS_PER_TOKEN: dict[Language, float] = {"en": 3.5, "zh": 1.2}
"""Rather few: smaller vocabularies need more tokens, above all for Chinese."""
_POINT_TOKENS = 14
"""What a point's keys, brackets and numbers take."""
_TEXT = ((), ("text",))
"""Where in a point its text is."""
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Form:
    """How long an answer may be."""

    summary: int
    """Characters of the summary."""
    point: int
    """Characters of a cause or an action."""
    causes: int
    """Number of causes."""
    actions: int
    """Number of actions."""
    refs: int = 3
    """Passages a point may rest on."""

    def schema(self, passages: Collection[int]) -> dict[str, Any]:
        """Return the JSON schema, for passages with these numbers."""
        number = {"enum": sorted(passages)} if passages else {"type": "integer"}
        numbers = {
            "type": "array",
            "items": number,
            "maxItems": min(self.refs, len(passages)),
        }
        point = _object(text=_string(self.point), passages=numbers)
        schema = _object(
            summary=_string(self.summary),
            causes={"type": "array", "items": point, "maxItems": self.causes},
            actions={"type": "array", "items": point, "maxItems": self.actions},
        )
        # LLGuidance lets a model write blanks without end between values unless told; the key
        # means nothing to llama.cpp's own grammar.
        return {**schema, "x-guidance": {"whitespace_flexible": False}}


def form_for(max_tokens: int, lang: Language) -> Form:
    """Return the form that an answer of so many tokens can fill.

    Few answers are as long as each part may be, so all parts together may take twice the room;
    one that runs out of it all the same is read as far as it goes, see `AnswerReader.answer`.
    """
    points = max(1, min(9, max_tokens // 40))
    causes = max(1, points * 4 // 9)
    room = 2 * max(max_tokens - 20 - points * _POINT_TOKENS, 16) * _CHARS_PER_TOKEN[lang]
    return Form(
        summary=round(min(max(room * 0.2, 40), 400)),
        point=round(min(max(room * 0.8 / points, 24), 240)),
        causes=causes,
        actions=max(1, points - causes),
    )


@dataclass(slots=True)
class ModelAnswer:
    """What the model said."""

    summary: str = ""
    """One sentence."""
    causes: list[Point] = field(default_factory=list)
    """Likely causes."""
    actions: list[Point] = field(default_factory=list)
    """What to do."""


def parse(text: str, *, passages: Collection[int]) -> ModelAnswer:
    """Read a whole answer.

    Raises:
        BrokenOutput: not the form.
    """
    reader = AnswerReader("en", passages=passages)
    reader.feed(text)
    return reader.answer()


def render(answer: ModelAnswer, lang: Language) -> str:
    """Return the answer as text: summary, then causes and actions with `[n]`."""
    parts = [answer.summary] if answer.summary else []
    for name, points in (("causes", answer.causes), ("actions", answer.actions)):
        if points:
            lines = [f"- {point.text}{_refs(point.passages)}" for point in points]
            parts.append("\n".join([f"{_HEADINGS[lang][name]}:", *lines]))
    return "\n\n".join(parts)


class AnswerReader:
    """Reads an answer while it is written and tells the text a person can read already.

    The pieces of `feed` joined are `render` of the whole, whatever the cuts, for an answer in the
    order of the form. Runs of blanks become one space, and numbers of passages that do not exist
    are left out, in both.
    """

    def __init__(self, lang: Language, *, passages: Collection[int]) -> None:
        self._lang = lang
        self._passages = frozenset(passages)
        self._json = JsonStream()
        self._answer = ModelAnswer()
        self._summary_ended = False
        self._section = ""  # whose heading was written last
        self._text = ""  # of the value being read
        self._space = False  # a blank came that the next word will show
        self._numbers: list[int] = []
        self._written = False

    @property
    def complete(self) -> bool:
        """Whether the whole answer was read."""
        return self._json.complete

    def feed(self, piece: str) -> str:
        """Return the readable text this piece adds.

        Raises:
            BrokenOutput: not JSON.
        """
        try:
            events = self._json.feed(piece)
        except ValueError as error:
            raise _broken(str(error)) from error
        return "".join(self._tell(event) for event in events)

    def answer(self, *, cut: bool = False) -> ModelAnswer:
        """Return what was read.

        Args:
            cut: the model had no more room. The points that are whole count then, as another try
                would end at the same place.

        Raises:
            BrokenOutput: it ended too early, or has no summary.
        """
        if not self._json.complete and not (cut and self._summary_ended):
            raise _broken("it ended in the middle" + (": no room left" if cut else ""))
        if not self._answer.summary:
            raise _broken("it has no summary")
        return self._answer

    def _tell(self, event: Event) -> str:
        match event.path, event.kind:
            case ("summary",), _:
                return self._tell_summary(event)
            # A point is an object with text; a string in its place rests on nothing.
            case ("causes" | "actions" as name, int(), *_), "text" if event.path[2:] in _TEXT:
                return self._add(event.text, lambda: self._bullet(name))
            case ("causes" | "actions" as name, int()), "close" | "end":
                return self._end_point(name)
            case (_, int(), "passages", int()), "word":
                self._add_number(event.text)
            case ("causes" | "actions" as name,), "text":
                raise _broken(f"{name} is not a list")
        return ""

    def _tell_summary(self, event: Event) -> str:
        if event.kind == "text" and not self._summary_ended:
            return self._add(event.text, lambda: "\n\n" if self._written else "")
        if event.kind == "end" and not self._summary_ended:
            self._answer.summary, self._summary_ended = self._text, True
            self._text, self._space = "", False
        return ""

    def _add(self, text: str, lead: Callable[[], str]) -> str:
        """Take a piece of a text value; `lead` tells what goes before its first word."""
        out = ""
        for index, word in enumerate(_BLANKS.split(text)):
            self._space = self._space or index > 0
            if word:
                joint = " " if self._space and self._text else ""
                out += (joint if self._text else lead()) + word
                self._text += joint + word
                self._space, self._written = False, True
        return out

    def _bullet(self, name: str) -> str:
        """Return what goes before the first word of a point."""
        if self._section == name:
            return "\n- "
        self._section = name
        blank = "\n\n" if self._written else ""
        return f"{blank}{_HEADINGS[self._lang][name]}:\n- "

    def _add_number(self, word: str) -> None:
        number = int(word) if word.isdigit() else 0
        if number in self._passages and number not in self._numbers:
            self._numbers.append(number)

    def _end_point(self, name: str) -> str:
        """Keep the point that has ended; one without text says nothing."""
        text, numbers = self._text, self._numbers
        self._text, self._space, self._numbers = "", False, []
        if not text:
            return ""
        points = self._answer.causes if name == "causes" else self._answer.actions
        points.append(Point(text=text, passages=numbers))
        return _refs(numbers)


def _refs(numbers: list[int]) -> str:
    return " " + "".join(f"[{number}]" for number in numbers) if numbers else ""


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _string(length: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": length}


def _broken(reason: str) -> BrokenOutput:
    return BrokenOutput(SERVER, f"the model's answer is not in the form asked for: {reason}")
