"""An answer the model has not had its word on yet: what it is asked, and what becomes of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas.answers import Answer, Timings
from schemas.faults import Priority
from schemas.generation import Generate, Generated
from schemas.retrieval import Found, Hit
from services.orchestrator import made, prompt
from services.orchestrator.made import Outcome
from services.orchestrator.plain import of_passages
from services.orchestrator.quote import cited_first
from services.orchestrator.records import Work
from services.orchestrator.reuse import Key, key_of
from services.orchestrator.templates import Prompt
from services.orchestrator.written import bearing, check, written


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer out of passages, and what the model is to be asked with."""

    work: Work
    """What has to be answered."""
    answer: Answer
    """What the passages gave."""
    hits: Sequence[Hit]
    """The passages: those the answer cites first, as it numbers them, then best first."""
    generation: int
    """Of the corpus it was made from."""
    prompt: Prompt
    """What the model is told; the one that was active when it was made."""

    @property
    def key(self) -> Key:
        """Return what makes another question the same."""
        return (
            *key_of(self.work, self.hits, self.generation),
            *prompt.key(self.prompt, self.work),
        )

    def request(self, name: str, priority: Priority, *, background: bool = False) -> Generate:
        """Return what the model is asked.

        Args:
            name: by which the bridge knows it.
            priority: how urgent it is.
            background: whether nobody waits for it.

        Raises:
            Rejected: the prompt comes to nothing or to too much.
        """
        return prompt.generate(
            self.prompt,
            prompt.values(self.work),
            prompt.passages(self.hits),
            request_id=name,
            priority=priority,
            background=background,
        )

    def outcome(
        self, request: Generate, generated: Generated, number: int, *, least: float
    ) -> Outcome:
        """Return the answer that came of a request, checked against the passages.

        Args:
            request: what was asked.
            generated: what the model wrote.
            number: of the record in the ledger.
            least: as `written` has it.
        """
        bears = bearing(self.answer, self.hits)
        checked = check(generated, request.passages, bears)
        answer = written(self.answer, generated, self.hits, least=least, checked=checked)
        making = made.made(
            self.prompt,
            request,
            generated,
            checked,
            generation=self.generation,
            bears=bears,
            least=least,
        )
        return Outcome(
            msgspec.structs.replace(answer, prompt=self.prompt.ref), made.packed(number, making)
        )


def drafted(work: Work, found: Found, with_prompt: Prompt, answer: Answer | None = None) -> Draft:
    """Return what the model shall have a word on.

    Args:
        work: what has to be answered.
        found: by the retriever.
        with_prompt: what the model is told.
        answer: what the passages give by themselves, where it is known already.
    """
    if answer is None:
        answer = of_passages(work, found, Timings())
    hits = cited_first(found.hits, answer.citations)
    return Draft(work, answer, hits, found.generation, with_prompt)
