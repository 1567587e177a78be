"""The embedding model that answered before another one was configured, where that still is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.retriever.embedding import Embedder, open_embedder
from services.retriever.embedding.model import Model
from services.retriever.vectors import bytes_each
from services.runtime.config import Embedding
from services.runtime.errors import AndonError
from services.runtime.metrics import memory_mb

BATCHES_MB = 40
"""Memory that batches of passages take while they are embedded, at most: see onnx.BATCH_TOKENS."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a process may take, and what it holds."""

    budget_mb: int
    """Memory it should stay under, MiB."""
    passages: int
    """Passages that answer."""

    def holds(self, weights: int) -> bool:
        """Return whether there may be room for weights that are not loaded yet, bytes."""
        return memory_mb() + weights / 2**20 <= self.budget_mb

    def fits(self, *models: Embedder) -> bool:
        """Return whether there is room for the indexes of models that are open."""
        each = sum(bytes_each(model.dimension) for model in models)
        return memory_mb() + BATCHES_MB + self.passages * each / 2**20 <= self.budget_mb


def open_former(
    kept: Model, configured: Embedding, beside: Embedder | None, room: Room
) -> tuple[Embedder | None, str]:
    """Return the model whose vectors answer, or why it cannot be had; blocks.

    Args:
        kept: what the corpus knows of it.
        configured: the present configuration.
        beside: the other one, which is open.
        room: for the two of them.
    """
    settings = kept.settings(configured)
    if settings is None:
        return None, "an older Andon did not keep where it was"
    if settings == configured:
        return None, "there is another one in its place" if beside else "it is away"
    no_room = f"two at a time do not fit into {room.budget_mb} MB (retriever.budget_mb)"
    # First: a process that takes more than its limit is ended, and so would the next one be.
    if beside is not None and not room.holds(_weights(settings)):
        return None, no_room
    try:
        former = _opened(settings, kept.stamp)
    except AndonError as error:
        return None, str(error)
    if not kept.compares(Model.of(former)):
        why = f"there is {former.name} in its place"
    elif beside is not None and not room.fits(former, beside):
        why = no_room
    else:
        return former, ""
    former.close()
    return None, why


def _opened(settings: Embedding, stamp: str) -> Embedder:
    """Open a model, and read its files where they were touched since they had this stamp."""
    former = open_embedder(settings)
    try:
        if former.stamp != stamp:
            former.verify()
    except AndonError:
        former.close()
        raise
    return former


def _weights(settings: Embedding) -> int:
    """Return the size of a model's weights, bytes; 0 where that is not known before it is open."""
    if settings.backend != "onnx":
        return 0
    try:
        return (Path(settings.model) / "model.onnx").stat().st_size
    except OSError:  # to open it tells why
        return 0
