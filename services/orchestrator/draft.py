"""An answer the model has not had its word on yet: what it is asked, and what becomes of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas.answers import Answer
from schemas.faults import Priority
from schemas.generation import Generate, Generated
from schemas.retrieval import Hit
from services.orchestrator import made, prompt
from services.orchestrator.made import Outcome
from services.orchestrator.records import Work
from services.orchestrator.reuse import Key, key_of
from services.orchestrator.templates import Prompt
from services.orchestrator.written import check, written


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
        checked = check(self.answer, generated, self.hits)
        answer = written(self.answer, generated, self.hits, least=least, checked=checked)
        making = made.made(self.prompt, request, generated, checked, self.generation)
        return Outcome(
            msgspec.structs.replace(answer, prompt=self.prompt.ref), made.packed(number, making)
        )
