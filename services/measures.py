"""How good an answer to a gold question was, and how good all of them. Pure.

Where the answer stands is compared by place: file name and page. A passage counts for the page it
begins on. What it says is compared letter by letter, with NFKC forms, without white space and
without regard to case, so that a line break or a full-width bracket hides nothing.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from services.gold import Place, Question

_SPACE = re.compile(r"\s+")
_BULLET = re.compile(r"^[-–—•·*]\s*|-$")
Figures = dict[str, float]
MISSING = "manual missing"
"""Group of the questions whose manual is not in the library."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was found, as it is judged."""

    file: str
    """Its document's file name."""
    pages: Sequence[int] = ()
    """Pages it counts for; empty where the format has none."""
    forms: Sequence[str] = ()
    """What it says, in each form in which that can be compared; already `tight`."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one question."""

    id: str
    """The question's id."""
    question: str
    """As asked."""
    rank: int = 0
    """Place of the first right passage, from 1; 0: not found."""
    page_rank: int = 0
    """Place of the first passage that begins on a right page, from 1; 0: none."""
    phrases_rank: int | None = None
    """How many passages it takes to have read all phrases; 0: not in all; None: it has none."""
    refused: bool = False
    """Nothing was found, or a code was reported unknown."""
    answerable: bool = True
    """Whether any manual has the answer."""
    extracted: bool | None = None
    """Whether the answer has all phrases, cause and remedy; None where not asked or not known."""
    cause: bool | None = None
    """Whether it has the cause."""
    remedy: bool | None = None
    """Whether it has the remedy."""
    search_ms: float = 0.0
    """From the question's departure to the passages, milliseconds."""
    answer_ms: float | None = None
    """From the question's arrival to the first answer, milliseconds."""
    error: str = ""
    """Why it got no result."""
    missing: bool = False
    """Its manual is not in the library: it was not asked, and counts under `MISSING` alone."""
    groups: list[str] = []
    """What it is counted under beside all."""


def tight(text: str) -> str:
    """Return a text in the form in which texts are compared."""
    return _SPACE.sub("", unicodedata.normalize("NFKC", text)).casefold()


def forms(section: str, text: str, values: Sequence[str]) -> list[str]:
    """Return what a passage says: as text under its heading, and a row as its bare cells.

    A phrase over two cells is cut apart by `header: cell` decoration, hence the cells one after
    the other, and with a bar between as Markdown prints them.
    """
    said = [tight(f"{section}\n{text}")]
    if values:
        said += [tight("".join(values)), tight("|".join(values))]
    return said


def same_file(file: str, named: str) -> bool:
    """Return whether two names are one file's, folders left out of either."""
    a, b = (unicodedata.normalize("NFC", name).strip("/") for name in (file, named))
    return a == b or a.endswith(f"/{b}") or b.endswith(f"/{a}")


def says(seen: Seen, phrase: str) -> bool:
    """Return whether a passage has a phrase."""
    wanted = tight(phrase)
    return any(wanted in form for form in seen.forms)


def on_page(seen: Seen, question: Question) -> bool:
    """Return whether a passage stands on a gold page.

    Where a document has no pages, it is one that has one of the words looked for.
    """
    return any(_there(seen, place, question.marks) for place in question.places)


def _there(seen: Seen, place: Place, marks: Sequence[str]) -> bool:
    if not same_file(seen.file, place.doc):
        return False
    if place.pages and seen.pages:
        return not set(place.pages).isdisjoint(seen.pages)
    return not place.pages and (not marks or any(says(seen, mark) for mark in marks))


def judge(question: Question, found: Sequence[Seen]) -> Result:
    """Return how well the passages answer, best first; without what only the asker knows."""
    on = [on_page(seen, question) for seen in found]
    marks = question.marks
    right = [
        there and (not marks or any(says(seen, mark) for mark in marks))
        for there, seen in zip(on, found, strict=True)
    ]
    groups = [group for group in (question.type, pair(question)) if group]
    return Result(
        id=question.id,
        question=question.question,
        rank=_first(right),
        page_rank=_first(on),
        phrases_rank=_read_to(question.phrases, found) if question.phrases else None,
        answerable=bool(question.places),
        groups=[*groups, question.form] if question.form else groups,
    )


def pair(question: Question) -> str:
    """Return how the languages of question and manual stand to each other; empty if unknown."""
    return (
        "" if question.cross is None or not question.places else ("same", "cross")[question.cross]
    )


def _first(right: Sequence[bool]) -> int:
    return right.index(True) + 1 if True in right else 0


def _read_to(phrases: Sequence[str], found: Sequence[Seen]) -> int:
    """Return how many passages hold all phrases, each in one of them; 0: they do not."""
    ranks = [_first([says(seen, phrase) for seen in found]) for phrase in phrases]
    return 0 if 0 in ranks else max(ranks)


def extraction(question: Question, parts: Sequence[str]) -> dict[str, bool | None]:
    """Return what of a question's gold an answer has.

    Args:
        question: the question.
        parts: summary, causes, actions and text of the answer.
    """
    said = [tight("".join(parts)), tight("".join(map(_bare, parts)))]

    def has(phrase: str) -> bool:
        wanted = tight(_bare(phrase))
        return any(wanted in form for form in said)

    cause = has(question.cause) if question.cause else None
    remedy = has(question.remedy) if question.remedy else None
    known = [has(phrase) for phrase in question.phrases]
    known += [part for part in (cause, remedy) if part is not None]
    return {"extracted": all(known) if known else None, "cause": cause, "remedy": remedy}


def _bare(line: str) -> str:
    """Return a line without what a list or the end of a printed line put there."""
    return _BULLET.sub("", line.strip())


def figures(results: Sequence[Result], ks: Sequence[int]) -> Figures:
    """Return the figures of some results; those nothing is known of are left out."""
    asked = [result for result in results if result.answerable]
    refused = [result for result in results if result.refused]
    found: dict[str, float | None] = {"questions": len(results)}
    for name, rank in _RANKS.items():
        for k in ks:
            found[f"{name}@{k}"] = share(within(rank(result), k) for result in asked)
    found["mrr"] = mean([1 / result.rank if result.rank else 0.0 for result in asked])
    for name in ("extracted", "cause", "remedy"):
        found[name] = share(getattr(result, name) for result in asked)
    found["refused"] = share(result.refused for result in asked)
    found["abstention_precision"] = share(not result.answerable for result in refused)
    found["abstention_recall"] = share(r.refused for r in results if not r.answerable)
    if len(asked) == len(results):
        found["abstention_precision"] = None  # nothing was to be refused
    times = [r.search_ms for r in results if not r.error]
    answers = [r.answer_ms for r in results if r.answer_ms is not None]
    for name, values in (("search", times), ("answer", answers)):
        found |= {f"{name}_p50_ms": quantile(values, 0.5), f"{name}_p99_ms": quantile(values, 0.99)}
    return {name: value for name, value in found.items() if value is not None}


_RANKS: Mapping[str, Callable[[Result], int | None]] = {
    "recall": lambda result: result.rank,
    "page": lambda result: result.page_rank,
    "phrases": lambda result: result.phrases_rank,
}


def grouped(results: Sequence[Result], ks: Sequence[int]) -> dict[str, Figures]:
    """Return the figures of all that were asked, and of each group; apart, how many were not."""
    asked = [result for result in results if not result.missing]
    names = dict.fromkeys(group for result in asked for group in result.groups)
    table = {"all": figures(asked, ks)}
    for name in names:
        table[name] = figures([r for r in asked if name in r.groups], ks)
    if lost := len(results) - len(asked):
        table[MISSING] = {"questions": lost}
    return table


def within(rank: int | None, k: int) -> bool | None:
    """Return whether a rank is among the first k; None stays unknown."""
    return None if rank is None else 0 < rank <= k


def share(truths: Iterable[bool | None]) -> float | None:
    """Return which part of what is known is true; None where nothing is."""
    return mean([float(truth) for truth in truths if truth is not None])


def mean(values: Sequence[float]) -> float | None:
    """Return the mean to four places; None of nothing."""
    return round(math.fsum(values) / len(values), 4) if values else None


def quantile(values: Sequence[float], q: float) -> float | None:
    """Return the least value that at least `q` of them do not exceed; None of nothing."""
    if not values:
        return None
    return round(sorted(values)[max(0, math.ceil(q * len(values)) - 1)], 2)
