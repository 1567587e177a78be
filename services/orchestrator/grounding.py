"""Does the model's answer stand on its passages?

A statement is a sentence of the summary, of a cause or of an action. It is supported when

- the passages it cites exist, and were shown to the model;
- those of them that are no other fault's entry have every code, parameter number, value and
  number with a unit in it;
- it shares a word with them that is more than `check` or `fault`, of an English sentence a
  quarter of its words (where both are in the same language);
- what it says to bypass, they say to bypass.

The summary cites nothing itself: it stands on all passages that were shown. No more is claimed:
what cannot be looked up is not judged, and whether a passage says the contrary is not known.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from schemas.generation import Generated, Point, PromptPassage
from services.orchestrator.display import clean
from services.orchestrator.facts import Facts, facts
from services.orchestrator.language import has_ideographs
from services.orchestrator.sentences import sentences, shared, terms

_LEAST_WORDS = 4
"""One word of so many must be the passage's, at least."""
_COMMON = terms(
    "check inspect verify ensure confirm examine test measure replace make sure fault error alarm"
    " warning drive machine device unit code cause occurs please 检查 确认 确保 更换 测量 测试 故障"
    " 报警 错误 设备 机器 代码 原因 进行 可能 是否 然后"
)
"""Words that any answer has: to share these says nothing."""
# To take a safety out of work is never to be made up.
_DEFEATS = re.compile(
    r"\bby-?pass|\bjumper|\boverrid|\bdefeat|\bdisabl|\bdeactivat|\bbridge (?:out|the)\b"
    r"|短接|旁路|跨接|屏蔽|绕过|拆除保护|解除保护|取消保护",
    re.IGNORECASE,
)
# Not the index of `r0945[8]`.
_INLINE = re.compile(r"\s*(?<![A-Za-z0-9])[\[［【]\s*(\d{1,2})\s*[\]］】]")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A statement that does not stand on its passages."""

    statement: str
    """A sentence of the model's."""
    why: str
    """What is wrong, for a person: `cites [4], which it was not given`."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A part of the answer, sentence by sentence."""

    point: Point
    """Its text on one line, and the numbers it cites, those within its text too."""
    statements: list[tuple[str, str]]
    """Each sentence, and why it does not stand; empty where it does."""

    @property
    def stands(self) -> bool:
        """Whether all of it does: half an instruction may be worse than none."""
        return not any(why for _, why in self.statements)


@dataclass(frozen=True, slots=True)
class Grounding:
    """What of an answer stands on its passages."""

    summary: Checked
    """The summary; its point cites nothing."""
    parts: tuple[list[Checked], list[Checked]]
    """Causes and actions, in order."""
    names_code: bool
    """Whether what stands cites a passage that has the code asked for; true where none was."""

    @property
    def summary_stands(self) -> bool:
        """Whether all of the summary is supported."""
        return self.summary.stands

    @property
    def causes(self) -> list[Point]:
        """The supported ones, in order."""
        return [part.point for part in self.parts[0] if part.stands]

    @property
    def actions(self) -> list[Point]:
        """The supported ones, in order."""
        return [part.point for part in self.parts[1] if part.stands]

    @property
    def doubtful(self) -> list[Checked]:
        """What is not supported, or not all of it: summary, causes, actions."""
        every = (self.summary, *self.parts[0], *self.parts[1])
        return [part for part in every if not part.stands]

    @property
    def doubts(self) -> list[Doubt]:
        """The unsupported statements: summary, causes, actions."""
        return [Doubt(said, why) for part in self.doubtful for said, why in part.statements if why]

    @property
    def statements(self) -> int:
        """How many there are."""
        every = (self.summary, *self.parts[0], *self.parts[1])
        return sum(len(part.statements) for part in every)

    @property
    def share(self) -> float:
        """Supported statements among all; 0 to 1."""
        return (self.statements - len(self.doubts)) / self.statements

    def holds(self, least: float) -> bool:
        """Return whether the answer may stand as the manuals'.

        At least this share of its statements is supported, one of them a whole cause or action;
        and if a code was asked for, what stands rests on a passage that has it.
        """
        return self.share >= least and bool(self.causes or self.actions) and self.names_code


def ground(
    generated: Generated,
    passages: Sequence[PromptPassage],
    *,
    of_another: Collection[int] = (),
    naming: Collection[int] | None = None,
) -> Grounding:
    """Check each statement of a model's answer against the passages it was given.

    Args:
        generated: The answer.
        passages: The passages of the request, best first; those it names as left out, or beyond
            `generated.passages_used`, were not seen by the model.
        of_another: Numbers of the passages that are the entry of another fault than was asked
            about: they support nothing.
        naming: Numbers of the passages that have the code asked for; None where none was.
    """
    shown = passages if generated.left_out else passages[: max(0, generated.passages_used)]
    seen = {p.n: _Source(p) for p in shown if p.n not in generated.left_out}
    check = _Check(seen, frozenset(of_another))
    parts = (
        [check.point(point) for point in generated.causes],
        [check.point(point) for point in generated.actions],
    )
    standing = {
        n for part in (*parts[0], *parts[1]) if part.stands for n in part.point.passages
    } - check.of_another
    return Grounding(
        summary=check.summary(generated.summary),
        parts=parts,
        names_code=naming is None or bool(standing & set(naming)),
    )


class _Source:
    """A passage, and what was read from it."""

    def __init__(self, passage: PromptPassage) -> None:
        self.n = passage.n
        self.text = passage.text
        self.title = passage.source
        self.facts: Facts = facts(passage.text)
        self.ideographs = has_ideographs(passage.text)


class _Check:
    """Looks statements up in the passages that the model saw."""

    def __init__(self, seen: dict[int, _Source], of_another: frozenset[int]) -> None:
        self.seen = seen
        self.of_another = of_another

    def point(self, point: Point) -> Checked:
        text, inline = _read(point.text)
        numbers = list(dict.fromkeys((*point.passages, *inline)))
        return Checked(
            Point(text=text, passages=numbers),
            [(said, self._why_not(said, numbers)) for said in _statements(text)],
        )

    def summary(self, text: str) -> Checked:
        text, inline = _read(text)
        numbers = [*self.seen, *(n for n in inline if n not in self.seen)]
        return Checked(
            Point(text=text),
            [(said, self._why_not(said, numbers, main=1)) for said in _statements(text)],
        )

    def _why_not(self, statement: str, numbers: Sequence[int], *, main: int | None = None) -> str:
        """Return why a statement does not stand on these passages, empty when it does.

        Args:
            statement: A sentence.
            numbers: Of the passages, best first.
            main: How many of them it is about: their language says whether it shares their words.
        """
        if not any(character.isalnum() for character in statement):
            return "says nothing"
        if not numbers:
            return "cites no passage"
        if absent := sorted({n for n in numbers if n not in self.seen}):
            return f"cites {_numbers(absent)}, which it was not given"
        own = [self.seen[n] for n in numbers if n not in self.of_another]
        if not own:
            return f"{_numbers(numbers)} is of another code"
        return (
            _made_up(statement, own)
            or _defeats(statement, own)
            or _of_nothing(statement, own, own[:main])
        )


def _made_up(statement: str, cited: Sequence[_Source]) -> str:
    """Return which codes and quantities of a statement are in none of the passages."""
    said = facts(statement)
    missing = said.all_written()
    for source in cited:
        missing &= source.facts.lacks(said)
    if missing:
        # The name of the machine stands in the manual's title.
        titles = {code for source in cited for code in facts(source.title).codes}
        missing -= {spelled for code, spelled in said.codes.items() if code in titles}
    return f"{', '.join(sorted(missing))} not in {_cited(cited)}" if missing else ""


def _defeats(statement: str, cited: Sequence[_Source]) -> str:
    """Say so when a statement takes something out of work, and no passage does."""
    found = _DEFEATS.search(statement)
    if not found or any(_DEFEATS.search(source.text) for source in cited):
        return ""
    return f"{found[0].casefold()} not in {_cited(cited)}"


def _of_nothing(statement: str, cited: Sequence[_Source], judged: Sequence[_Source]) -> str:
    """Say so when a statement has no words of what it cites; across languages none are due."""
    ideographs = has_ideographs(statement)
    said = terms(statement)
    told = said - _COMMON or said
    if not told or any(source.ideographs != ideographs for source in judged):
        return ""
    least = 1 if ideographs else max(1, len(told) // _LEAST_WORDS)
    found = shared(told, "\n".join(source.text for source in cited))
    return "" if len(found) >= least else f"shares no word with {_cited(cited)}"


def _read(text: str) -> tuple[str, list[int]]:
    """Return a text on one line without the citations in it, and their numbers."""
    text = clean(text)
    return _INLINE.sub("", text).strip(), [int(number) for number in _INLINE.findall(text)]


def _statements(text: str) -> list[str]:
    return sentences(text) or [text]


def _cited(cited: Sequence[_Source]) -> str:
    return _numbers([source.n for source in cited])


def _numbers(numbers: Sequence[int]) -> str:
    return " ".join(f"[{n}]" for n in numbers)
