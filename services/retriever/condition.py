"""How embedding goes, as the status tells it and as ingest is told why vectors do not come."""

from __future__ import annotations

import time

from services.runtime.errors import AndonError
from services.runtime.process import Health

PATIENCE_S = 300.0
"""After so long without the embedding model a new revision answers by codes and words alone."""


class Condition:
    """Whether questions and passages get their vectors, and what stands in the way."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self.waits_for = ""
        """Why passages get no vectors now, empty while they do."""
        self._embedding_at = time.monotonic()
        """When that last went well, or began to be tried."""

    @property
    def tired(self) -> bool:
        """Return whether words that are right go before meaning: nobody knows when that comes."""
        return bool(self.waits_for) and time.monotonic() - self._embedding_at > PATIENCE_S

    def serves(self) -> None:
        """A model answers from now on."""
        self.waits_for = ""
        self._health.well("embedding")

    def question(self, error: AndonError | None) -> None:
        """Embedding a question went so."""
        if error is None:
            self._health.well("embedding")
        else:
            self._health.trouble("embedding", f"{error}; searching by codes and words alone")

    def unopened(self, error: AndonError, meanwhile: str | None) -> None:
        """The configured model cannot be had now.

        Args:
            error: why.
            meanwhile: name of the model that answers, None where none does.
        """
        if meanwhile is None:
            self.waits_for = error.reason
            self.question(error)
        else:
            self._coming(str(error), meanwhile)

    def coming(self, reason: str, meanwhile: str) -> None:
        """Embedding passages with a model that is to take over fails so, or is well: empty."""
        if reason:
            self._coming(reason, meanwhile)
        else:
            self._health.well("model change")

    def passages(self, reason: str) -> None:
        """Embedding passages with the model that answers fails so, or is well: empty."""
        if not self.waits_for:
            self._embedding_at = time.monotonic()
        self.waits_for = reason
        if reason:
            self._health.trouble("vectors", f"{reason}; passages are found by codes and words")
        else:
            self._health.well("vectors")

    def kept(self) -> None:
        """Some passages got their vectors."""
        self._embedding_at = time.monotonic()

    def without_former(self, name: str, why: str) -> None:
        """The model changes, and the one before cannot answer until the vectors are made."""
        self._health.trouble(
            "model change",
            f"the embedding model changes, and {name} is gone: {why}; meanwhile "
            f"searching by codes, words and the vectors that are made already",
        )

    def changed(self) -> None:
        """A change of the model is over."""
        self._health.well("model change")

    def damaged(self, error: AndonError) -> None:
        """A file of the model that answers is not what it was."""
        self._health.trouble("model", str(error))

    def _coming(self, reason: str, meanwhile: str) -> None:
        self._health.trouble("model change", f"{reason}; {meanwhile} answers meanwhile")
