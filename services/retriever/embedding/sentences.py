"""Any sentence-transformers model on this machine; the only backend that loads torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.retriever.embedding import SAMPLE, Vectors, unit
from services.runtime.errors import Fatal


class SentenceTransformersEmbedder:
    """A model folder, or the name of a model in the local cache; nothing is downloaded."""

    def __init__(self, model: str | Path, *, threads: int = 1, batch: int = 8) -> None:
        """Load the model.

        Raises:
            Fatal: the library is not installed, or the model is not on this machine.
        """
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
        try:
            import torch  # noqa: PLC0415  two seconds and 300 MB, for who chose it only
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        except ImportError as error:
            raise Fatal(
                "load embedding model",
                f"sentence-transformers is not installed: {error}",
                "pip install andon[sentence-transformers], or choose the backend onnx",
            ) from error
        torch.set_num_threads(threads)
        try:
            self._model: Any = SentenceTransformer(str(model), device="cpu", local_files_only=True)
        except Exception as error:  # the libraries below raise whatever they like
            raise Fatal(
                "load embedding model",
                f"{model}: {error}",
                "name a model folder of this machine in retriever.embedding.model",
            ) from error
        self._name = Path(model).name
        self._batch = batch
        self._dimension = 0
        self._sample: NDArray[np.float32] = self.embed([SAMPLE])[0]
        self._dimension = len(self._sample)

    @property
    def name(self) -> str:
        """Return the model's name."""
        return f"sentence-transformers/{self._name}"

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return self._dimension

    @property
    def sample(self) -> NDArray[np.float32]:
        """Return the vector by which the model is known: its name is its folder's alone."""
        return self._sample

    @property
    def stamp(self) -> str:
        """Return nothing: such a model comes without hashes."""
        return ""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, [len(texts), dimension]."""
        if not texts:
            return np.zeros((0, self._dimension), dtype=np.float32)
        vectors = self._model.encode(
            list(texts),
            batch_size=self._batch,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return unit(np.asarray(vectors, dtype=np.float32))

    def confirm(self, *, briefly: bool = False) -> None:
        """Nothing to ask: what is loaded stays."""

    def rest(self) -> None:
        """Nothing to give back."""

    def verify(self) -> None:
        """Nothing to check: such a model comes without hashes."""

    def close(self) -> None:
        """Nothing to let go of: the model ends with the object."""
