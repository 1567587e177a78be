"""The figures as people read them, the limits they have to keep, and what has changed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from services.gold import Bad
from services.measures import MISSING, Figures, Result

_COLUMNS = ("recall@", "mrr", "page@", "phrases@", "extracted", "cause", "remedy", "refused")
_LIMIT = re.compile(r"(?:(?P<group>.+)\.)?(?P<name>[a-z0-9_@]+)=(?P<value>\d+(?:\.\d+)?)")
_EQUAL = 5e-5
"""Half of the last place of a figure."""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure must keep: `recall@3=0.9`, or of one group `cross.recall@3=0.8`."""

    group: str = "all"
    """`all`, a kind of question, or `same` and `cross`."""
    name: str
    """The figure's name."""
    value: float
    """The least or the most it may be."""
    most: bool = False
    """Whether `value` is the most."""

    def broken(self, table: Mapping[str, Figures]) -> str:
        """Return what is wrong; empty where the limit is kept."""
        got = table.get(self.group, {}).get(self.name)
        named = self.name if self.group == "all" else f"{self.group}.{self.name}"
        if got is None:
            return f"{named}: there is no such figure"
        if (got > self.value) if self.most else (got < self.value):
            return f"{named} is {got:g}, {'more' if self.most else 'less'} than {self.value:g}"
        return ""


def limit(text: str, *, most: bool = False) -> Limit:
    """Return the limit a text names.

    Raises:
        ValueError: it names none.
    """
    found = _LIMIT.fullmatch(text)
    if not found:
        raise ValueError(f"recall@3=0.9 or cross.recall@3=0.9 is such a limit, not {text!r}")
    return Limit(
        group=found["group"] or "all", name=found["name"], value=float(found["value"]), most=most
    )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run, as `--out` writes and `--baseline` reads it."""

    created: str
    """When it was made, RFC 3339 UTC."""
    files: list[str]
    """Where the questions are from."""
    embedding: str = ""
    """Embedding model that the search used."""
    passages: int = 0
    """Passages that were searched."""
    figures: dict[str, Figures]
    """Of all, and of each group."""
    missing_documents: list[str] = []
    """Documents that questions are about and the library does not have: these are not asked."""
    rejected: list[Bad] = []
    """Lines that are no questions."""
    broken: list[str] = []
    """Limits that were not kept."""
    changes: dict[str, Figures] = {}
    """Against the baseline: figure now less figure then."""
    worse: list[str] = []
    """Questions the baseline answered better."""
    better: list[str] = []
    """Questions that are answered better than by the baseline."""
    results: list[Result] = []
    """Each question."""


def compare(now: Report, then: Report) -> Report:
    """Return a report with what has changed since an earlier one."""
    changes = {
        group: {
            name: round(value - then.figures[group][name], 4)
            for name, value in figures.items()
            if name in then.figures[group]
        }
        for group, figures in now.figures.items()
        if group in then.figures
    }
    before = {(result.id, result.question): result for result in then.results}
    worse: list[str] = []
    better: list[str] = []
    for result in now.results:
        earlier = before.get((result.id, result.question))
        if earlier and not (result.missing or earlier.missing):
            gain = _gain(result, earlier)
            if gain:
                (better if gain > 0 else worse).append(result.id)
    return msgspec.structs.replace(now, changes=changes, worse=worse, better=better)


def _gain(now: Result, then: Result) -> float:
    """Return how much better a result is, by what is known of both."""
    if not now.answerable:
        return float(now.refused) - float(then.refused)
    gain = _worth(now) - _worth(then)
    if now.extracted is not None and then.extracted is not None:
        gain += now.extracted - then.extracted
    return gain


def _worth(result: Result) -> float:
    place = 1 / result.rank if result.rank else 0.0
    return place + bool(result.phrases_rank) - result.refused


def lines(report: Report) -> list[str]:
    """Return a report as a table for people."""
    table = report.figures
    columns = [
        name
        for start in _COLUMNS
        for name in dict.fromkeys(name for figures in table.values() for name in figures)
        if name == start or (start.endswith("@") and name.startswith(start))
    ]
    rows = [["", "questions", *columns]]
    rows += [
        [group, f"{figures['questions']:g}", *(_shown(c, figures.get(c)) for c in columns)]
        for group, figures in table.items()
    ]
    said = _aligned(rows)
    everything = table["all"]
    if "abstention_recall" in everything:
        precision = _percent(everything.get("abstention_precision"))
        recall = _percent(everything["abstention_recall"])
        said.append("")
        said.append(f"not in the manuals: {recall} recognised; {precision} of refusals right")
    for name in ("search", "answer"):
        if (p50 := everything.get(f"{name}_p50_ms")) is not None:
            said.append(f"{name}: p50 {p50:g} ms, p99 {everything[f'{name}_p99_ms']:g} ms")
    if report.missing_documents:
        lost = table.get(MISSING, {}).get("questions", 0)
        questions = "1 question is" if lost == 1 else f"{lost:g} questions are"
        documents = ", ".join(report.missing_documents)
        said.append(f"{MISSING}: {questions} not counted; not in the library: {documents}")
    return [*said, *_changed(report)]


def _changed(report: Report) -> list[str]:
    said = []
    for group, changes in report.changes.items():
        moved = [
            f"{name} {value:+g}"
            for name, value in changes.items()
            if abs(value) >= _EQUAL and name != "questions"
        ]
        if moved:
            said.append(f"  {group}: {', '.join(moved)}")
    if report.changes:
        said = ["", "since the baseline:", *(said or ["  nothing has changed"])]
    for word, ids in (("worse", report.worse), ("better", report.better)):
        if ids:
            said.append(f"  {word}: {', '.join(ids)}")
    return said


def misses(results: Sequence[Result], k: int) -> list[str]:
    """Return a line for each question whose passages or answer are not what they should be."""
    said = []
    for result in results:
        wrong = [result.error] if result.error else _wrong(result, k)
        if wrong and not result.missing:
            said.append(f"{result.id}: {result.question}\n    {', '.join(wrong)}")
    return said


def _wrong(result: Result, k: int) -> list[str]:
    if not result.answerable:
        return [] if result.refused else ["answered, though no manual has it"]
    wrong = [] if 0 < result.rank <= k else [f"passage at {result.rank or 'none of the places'}"]
    if result.phrases_rank is not None and not 0 < result.phrases_rank <= k:
        wrong.append("phrases missing")
    if result.extracted is False:
        wrong.append("not all in the answer")
    return [*wrong, "refused"] if result.refused else wrong


def _shown(name: str, value: float | None) -> str:
    return f"{value:.3f}" if name == "mrr" and value is not None else _percent(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
