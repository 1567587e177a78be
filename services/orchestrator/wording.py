"""What was found, put into the lines of an answer: every line of the manual's with its [1]."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from schemas.answers import Language
from schemas.retrieval import Field, Hit
from services.orchestrator.blocks import blocks
from services.orchestrator.columns import is_grade, is_wanted, role_of
from services.orchestrator.definition import Definition, plain, printed_as
from services.orchestrator.items import unwrapped
from services.orchestrator.language import language_of
from services.orchestrator.phrases import Phrases, phrases
from services.orchestrator.quote import LONGEST_QUOTE, quote
from services.orchestrator.running import Told, tell_text
from services.orchestrator.sentences import GENERIC, overlap, sentences, shared

LONGEST_TAIL = 240
"""Characters of the first cause, or of the meaning, in a summary."""
_LONGEST_ROW = 160
"""Characters of a row without these that are its summary as they are."""

_OTHER = re.compile(r"[\W_]+")
# What follows a parameter's name in its line.
_VALUES = re.compile(
    r"[\s*]+(?=(?:(?:setting|set)? ?range|unit|factory|default|initial)\b[^:：]{0,20}[:：])"
    r"|[\s*]+(?=(?:设定范围|范围|单位|出厂|默认|缺省|初始)[^:：]{0,6}[:：])",
    re.IGNORECASE,
)
_STOPS = " .。;；:：,，"
# What counts an item of a list says nothing outside it.
_MARK = re.compile(r"(?:[(（]?\d{1,2}[)）、]|[a-zA-Z][)）]|[•●◆■□▪►➢‣©]+)\s*(?=\w|[\"“‘(（])")
_EMPTY = re.compile(r": [-–—/]?$")
_CLAUSE = re.compile(r"(?:, |[，;；] ?| (?=[(（])|(?<=[\u3400-\u9fff])(?=[(（]))")
_SIGNS = frozenset("%‰°*")
_LOUD = tuple("!！?？…")
_LONGEST_TITLE = 40


def summary_of(definition: Definition, code: str = "", asked: frozenset[str] = frozenset()) -> str:
    """Return code, name and first cause as one sentence, empty where the row says nothing.

    Punctuation is that of the row's own language. Of a row with a page of text in a cell it is
    what `asked`, terms of the question, are nearest to.
    """
    head = _head(definition, code)
    values = [field for field in definition.rest if _says(field) and is_wanted(field.name, asked)]
    if head and values:
        comma = _words("".join(map(_line, values))).comma
        tail = comma.join(_line(field, " ") for field in values)
    else:
        tail = _tail(definition, asked - shared(asked, head) - GENERIC)
    if len(tail) > _LONGEST_ROW and not (definition.causes or definition.meaning):
        tail = sentence_of(_longest(definition, asked))
    words = _words(head + tail)
    if squeezed(tail) in squeezed(head):
        tail = ""
    head, tail = head.rstrip(_STOPS), _short(tail).rstrip(_STOPS)
    said = (
        f"{head}{' ' if head[-1:] in _LOUD else words.colon}{tail}"
        if head and tail
        else head + tail
    )
    if not any(character.isalnum() for character in said):
        return ""
    return said if said[-1] in _LOUD else said + words.stop


def told_of(
    definition: Definition, *, code: str, asked: frozenset[str], summary: str, words: Phrases
) -> list[str]:
    """Return the lines of a row or an entry, nothing said twice.

    Args:
        definition: What it says.
        code: The code that was asked for, empty for none.
        asked: Terms of the question.
        summary: Its summary.
        words: Of the language of the answer.
    """
    head = _head(definition, code)
    meaning = definition.meaning if definition.meaning not in summary else ""
    listed = definition.causes or meaning
    lines = [f"{head if head and listed else summary} [1]"]
    if len(meaning) > LONGEST_QUOTE:
        parts = (
            part for one in blocks(definition.description) for part in (one.head, *one.sentences)
        )
        lines += ["", *(f"{part} [1]" for part in parts if part)]
    elif meaning:
        lines += ["", f"{meaning} [1]"]
    for title, role, entries in (
        (words.causes, "cause", definition.causes),
        (words.actions, "action", definition.actions),
    ):
        lines += _section(title, entries, counted=role in definition.counted)
    if definition.reaction:
        lines += ["", f"{words.reaction}{words.colon}{definition.reaction} [1]"]
    lines += _section(words.notes, definition.asides)
    said = squeezed("".join(lines))
    rest = [
        line
        for field in definition.rest
        if _says(field) and any(squeezed(line) not in said for line in _lines(field, asked))
        for line in _lines(_labelled(field, words), asked)
    ]
    if rest:
        lines += ["", *(f"{line} [1]" for line in rest)]
    return lines


def listed(hit: Hit, said: Sequence[str], *, begun: bool = False) -> list[str]:
    """Return the rows of the list that stands below a passage; none that is said already.

    Args:
        hit: the passage that answers.
        said: the answer's lines so far.
        begun: only where these have a row of it: else the list is another matter.
    """
    there = squeezed("".join(said))
    new = [row for row in hit.below if squeezed(row) not in there]
    if begun and len(new) == len(hit.below):
        return []
    return [f"{quote(_row(row))} [1]" for row in new]


def _row(text: str) -> str:
    """Return a row's cells as a line, those that say nothing left out."""
    cells = [" ".join(cell.split()) for cell in text.split(" | ")]
    said = [cell for cell in cells if cell and not _EMPTY.search(cell)]
    # What counts the row is no cell of its own: `5. Symbol: N18`.
    ends = [" " if cell[-1] in ".)、" else ", " for cell in said]
    return "".join(map("".join, zip(said, ends, strict=True))).rstrip(" ,")


def called(definition: Definition, hit: Hit, words: Phrases) -> Definition:
    """Return a definition whose name is in the language of the answer, with the quoted one.

    As it is where the retriever did not tell what it is called there.
    """
    name = hit.called.get(" ".join(definition.name.split()), "")
    both = words.named.format(name=name, quoted=definition.name)
    return replace(definition, name=both) if name else definition


def quoting(words: Phrases) -> Phrases:
    """Return the words of an answer that say that what stands below is quoted."""
    titles = ("causes", "actions", "reaction", "notes")
    return replace(words, **{title: getattr(words, title) + words.quoted for title in titles})


def sentence_of(told: Told) -> str:
    """Return what running text says in one sentence, with the heading it stands under."""
    best = unmarked(_nearest_clauses(told))
    if not (told.head and told.fits) or squeezed(told.head) in squeezed(best):
        return best
    head = _VALUES.split(told.head, maxsplit=1)[0].strip(_STOPS + "*#") or told.head
    return f"{unmarked(head)}{_words(head + best).colon}{best}"


def unmarked(text: str) -> str:
    """Return a text without what counts it as an item of a list."""
    return _MARK.sub("", text, count=1) if _MARK.match(text) else text


def _nearest_clauses(told: Told) -> str:
    """Return a sentence, of a long one the clauses that have most of the question."""
    if len(told.best) <= LONGEST_TAIL:
        return told.best
    starts = [0, *(match.end() for match in _CLAUSE.finditer(told.best))]
    cuts = [(start, quote(told.best[start:], limit=LONGEST_TAIL)) for start in starts]

    def nearness(cut: tuple[int, str]) -> tuple[int, bool]:
        return len(shared(told.covered, cut[1])), any(c.isdigit() for c in cut[1])

    start, words = max(cuts, key=nearness)
    begun = "…" if start else ""
    return begun + words + ("…" if start + len(words) < len(told.best) else "")


def bearing_of(hit: Hit, told: Told) -> str:
    """Return the words a quote begins with: the heading, where the best sentence still fits."""
    flat = " ".join(hit.passage.text.split())
    head, best = flat.find(told.head), flat.find(told.best)
    fits = told.head and 0 <= head <= best and best + len(told.best) - head <= LONGEST_QUOTE
    return told.head if fits else told.best


def titled(hit: Hit, first: Hit, line: str) -> str:
    """Return a line with the title of its document, where that is not the first passage's."""
    title = quote(hit.document.title or hit.document.file, limit=_LONGEST_TITLE)
    if hit.document.doc_id == first.document.doc_id or not title:
        return line
    return f"{title}{_words(line).colon}{line}"


def squeezed(text: str) -> str:
    """Return a text's letters and digits, by which two lines are the same."""
    return _OTHER.sub("", text.casefold())


def _head(definition: Definition, code: str) -> str:
    printed = printed_as(code, definition.code) if code else definition.code
    return " ".join(part for part in (printed, definition.name) if part)


def _tail(definition: Definition, asked: frozenset[str]) -> str:
    cause = next((cause for cause in definition.causes if cause[-1] not in ":："), "")
    if not cause and len(definition.meaning) > LONGEST_QUOTE:
        return sentence_of(tell_text(definition.description, asked))
    if tail := cause or definition.meaning:
        said = sentences(tail)
        return max(said, key=lambda one: overlap(asked, one), default="")
    if definition.actions:
        return "" if definition.name else definition.actions[0]
    named = any(_is_named(field) for field in definition.rest)
    rest = [field for field in definition.rest if _says(field)]
    if definition.name:
        rest = [field for field in rest if not _grades(field)]
    comma = _words("".join(map(_line, rest))).comma if named else " "
    parts = [*(_line(field, " ") for field in rest), plain(definition.reaction)]
    return comma.join(part for part in parts if part)


def _short(tail: str) -> str:
    if len(tail) <= LONGEST_TAIL:
        return tail
    return quote(tail, limit=LONGEST_TAIL) + "…"


def _section(title: str, entries: Sequence[str], *, counted: bool = False) -> list[str]:
    if not entries:
        return []
    marks = (f"{n}." if counted else "-" for n in range(1, len(entries) + 1))
    return ["", title, *(f"{mark} {entry} [1]" for mark, entry in zip(marks, entries, strict=True))]


def _lines(field: Field, asked: frozenset[str]) -> list[str]:
    """Return a cell's lines: of a page of text in it, what is about the question."""
    if len(field.value) <= LONGEST_QUOTE:
        return [_line(field)]
    told = tell_text(field.value, asked)
    first, *others = [line for line in (told.head, *told.sentences) if line]
    return [_line(Field(field.name, first)), *others]


def _labelled(field: Field, words: Phrases) -> Field:
    """Return a cell with the label that every manual prints in the language of the answer."""
    return Field(words.labels.get(plain(field.name).casefold(), field.name), field.value)


def _longest(definition: Definition, asked: frozenset[str]) -> Told:
    return tell_text(max((f.value for f in definition.rest), key=len), asked)


def _line(field: Field, between: str = "") -> str:
    value = plain(unwrapped(field.value))
    if not _is_named(field) or value.casefold().startswith(plain(field.name).casefold()):
        return value
    return f"{plain(field.name)}{between or _words(field.name + value).colon}{value}"


def _says(field: Field) -> bool:
    """Return whether a cell has words, a number or a unit; a tick alone says nothing here."""
    value = unicodedata.normalize("NFKC", field.value)
    return any(character.isalnum() or character in _SIGNS for character in value)


def _grades(field: Field) -> bool:
    """Return whether a cell only says how bad a fault is."""
    return role_of(field.name) == "grade" or is_grade(field.value)


def _is_named(field: Field) -> bool:
    return any(character.isalnum() for character in field.name)


def _words(text: str) -> Phrases:
    """Return the punctuation that fits a text."""
    lang: Language = language_of(text[:LONGEST_QUOTE], "en")
    return phrases(lang)
