"""What the language model is asked: a prompt, filled with what has to be answered (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.channels import ASKED
from schemas.faults import Priority
from schemas.generation import Generate, PromptPassage
from schemas.prompts import PromptName
from schemas.retrieval import Hit
from services.orchestrator.records import Work
from services.orchestrator.templates import Prompt

_SAME = frozenset({"question", "code"})
"""Variables that make another question anyway, see `reuse.key_of`."""
_NAMES: dict[tuple[bool, str], PromptName] = {
    (True, "en"): "ask.en",
    (True, "zh"): "ask.zh",
    (False, "en"): "fault.en",
    (False, "zh"): "fault.zh",
}


def name_of(work: Work) -> PromptName:
    """Return which prompt some work is done with."""
    return _NAMES[work.place.startswith(ASKED), work.lang]


def values(work: Work) -> dict[str, str | int]:
    """Return what the block `question` of a template may use, as `templates.VARIABLES` has it."""
    return {
        "question": work.question,
        "code": " ".join(work.code.split()),
        "text": work.text,
        "asset": " ".join((work.asset or "").split()),
        "occurrences": work.occurrences,
    }


def said(prompt: Prompt, work: Work) -> tuple[str | int, ...]:
    """Return what a prompt says of the machine and the alarm.

    An answer that was written of one machine is not another's.
    """
    told = values(work)
    return tuple(told[name] for name in sorted(prompt.template.uses - _SAME))


def key(prompt: Prompt, work: Work) -> tuple[object, ...]:
    """Return what makes an answer another one beside question and passages: prompt and values."""
    return (prompt.ref, prompt.template.digest, *said(prompt, work))


def generate(
    prompt: Prompt,
    told: Mapping[str, str | int],
    shown: Sequence[PromptPassage],
    *,
    request_id: str,
    priority: Priority,
    background: bool = False,
) -> Generate:
    """Return the request to the model.

    Args:
        prompt: What it is told.
        told: As `values` has it.
        shown: The passages, as `passages` has them.
        request_id: By which the bridge knows it.
        priority: How urgent it is.
        background: Whether nobody waits for it.

    Raises:
        Rejected: With these values the prompt comes to nothing or to too much.
    """
    return Generate(
        id=request_id,
        system=prompt.template.system,
        question=prompt.template.question(told),
        passages=list(shown),
        lang=prompt.lang,
        priority=priority,
        background=background,
    )


def passages(hits: Sequence[Hit]) -> list[PromptPassage]:
    """Return the passages as the model sees them, numbered from 1 in order of rank."""
    return [
        PromptPassage(n=n, source=_source(hit), text=hit.passage.text)
        for n, hit in enumerate(hits, start=1)
    ]


def _source(hit: Hit) -> str:
    page = f", p. {hit.passage.page}" if hit.passage.page else ""
    return f"{hit.document.title}{page}"
