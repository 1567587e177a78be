"""Text to unit vectors: the bundled ONNX model, sentence-transformers, or a llama-server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.runtime.config import Embedding
from services.runtime.errors import Rejected, Retryable

Vectors = NDArray[np.float32]
"""[texts, dimension], each row of length 1."""
SAMPLE = "Fault E005: DC bus undervoltage, check the mains supply. 直流母线欠压，检查电源。"
"""A text by whose vector models are told apart where their files cannot be seen."""


class AnotherModel(Retryable):
    """Behind the address is another model than the one that was opened: open it anew."""


class Superseded(Rejected):
    """Another model has taken over: vectors of this one are wanted no more."""


class Embedder(Protocol):
    """A model that places texts of like meaning close together."""

    @property
    def name(self) -> str:
        """Names the model and its weights: vectors of different names do not compare."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def sample(self) -> NDArray[np.float32] | None:
        """Vector of `SAMPLE` when it was opened; None where the name tells the weights."""

    @property
    def stamp(self) -> str:
        """Tells its files, unread, from others under the same name; empty where none are ours."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, [len(texts), dimension]; blocks, call it in a thread.

        May be called from several threads at the same time.

        Raises:
            Retryable: the model cannot answer now.
            Rejected: the model refuses these texts.
        """

    def confirm(self, *, briefly: bool = False) -> None:
        """See that it is still the model that was opened; blocks.

        Vectors made before belong to that model if this is well after them.

        Args:
            briefly: by a word instead of a sentence, where that is the same as it was.

        Raises:
            AnotherModel: it is not.
            Retryable, Rejected: nobody can say now.
        """

    def rest(self) -> None:
        """Give memory back that only many texts need; blocks."""

    def verify(self) -> None:
        """Check what is too large to be checked before the start; blocks.

        Raises:
            Fatal: a file is damaged.
        """

    def close(self) -> None:
        """Let go of memory and connections."""


def open_embedder(config: Embedding) -> Embedder:
    """Open what the configuration names; blocks, call it in a thread.

    Raises:
        Fatal: the model is missing, damaged or not what it should be.
        Retryable: the server that embeds is not there.
    """
    # One import a backend: a process loads only the library it uses.
    if config.backend == "onnx":
        from services.retriever.embedding.onnx import OnnxEmbedder  # noqa: PLC0415

        return OnnxEmbedder(config.model, threads=config.threads, batch=config.batch)
    if config.backend == "sentence-transformers":
        from services.retriever.embedding.sentences import (  # noqa: PLC0415
            SentenceTransformersEmbedder,
        )

        return SentenceTransformersEmbedder(
            config.model, threads=config.threads, batch=config.batch
        )
    from services.retriever.embedding.llama import LlamaServerEmbedder  # noqa: PLC0415

    return LlamaServerEmbedder(config.url, model=config.model, batch=config.batch)


def unit(vectors: Vectors) -> Vectors:
    """Return the rows scaled to length 1; rows of zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)
