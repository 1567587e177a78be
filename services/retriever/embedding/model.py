"""Which model a vector is of: what must be known to compare it with others, now or later."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.retriever.embedding import Embedder
from services.runtime.config import Embedding

ALIKE = 0.999
"""Cosine of one text's vectors from which on they are of one model. So much below 1 it was with
random llama models of 64 to 512 numbers and 2 to 12 layers: 1e-6 and less for the same file, alone
or beside others, with flash attention or without, by llama-server or by xllamacpp; in F16 instead
of F32 up to 6e-7 and in Q8_0 up to 3e-4, which are taken for the same; in Q5_0 from 3e-3 and in
Q4_0 from 1.5e-2, which are not. With several slots and mean pooling a decoder's vector depends on
what the server reads beside it, 3e-2: it cannot be known by its vector, and needs one slot."""


class Model(msgspec.Struct, frozen=True):
    """A model as the corpus remembers it."""

    name: str
    """What it calls itself."""
    label: str = ""
    """Names the vectors made with it, in the corpus and in the index."""
    sample: bytes = b""
    """Vector of `embedding.SAMPLE`, float16; empty where the name tells the weights."""
    backend: str = ""
    """The configuration by which it was opened; empty where an older Andon did not keep it."""
    model: str = ""
    url: str = ""
    stamp: str = ""
    """Tells its files, unread, from others under the same name; they were read once."""

    @classmethod
    def of(cls, embedder: Embedder, settings: Embedding | None = None) -> Model:
        """Describe a model that is open.

        Args:
            embedder: the model.
            settings: by which it was opened, and can be again.
        """
        vector = embedder.sample
        sample = b"" if vector is None else vector.astype(np.float16).tobytes()
        mark = f"#{hashlib.blake2b(sample, digest_size=4).hexdigest()}" if sample else ""
        label = f"{embedder.name}{mark}"
        model = cls(embedder.name, label, sample, stamp=embedder.stamp)
        if settings is None:
            return model
        return msgspec.structs.replace(
            model, backend=settings.backend, model=settings.model, url=settings.url
        )

    def compares(self, other: Model) -> bool:
        """Return whether vectors of the two may be compared.

        A name can be given to another file and a file get another name: where samples are known
        they decide.
        """
        if self.sample and other.sample:
            return alike(
                np.frombuffer(self.sample, dtype=np.float16),
                np.frombuffer(other.sample, dtype=np.float16),
            )
        one, two = sorted((self, other), key=lambda model: len(model.name))
        # An older Andon named a model by its weights, and not yet by the rest of its files.
        return one.name == two.name or (not one.backend and two.name.startswith(f"{one.name}."))

    def settings(self, present: Embedding) -> Embedding | None:
        """Return by which configuration it can be opened again; None where that is not known.

        Args:
            present: what else is configured.
        """
        try:
            given = {"backend": self.backend, "model": self.model, "url": self.url}
            return msgspec.convert(msgspec.structs.asdict(present) | given, Embedding)
        except msgspec.ValidationError:
            return None


def alike(one: NDArray[np.floating[Any]], two: NDArray[np.floating[Any]]) -> bool:
    """Return whether two vectors of one text are of one model."""
    if one.shape != two.shape:
        return False
    a, b = one.astype(np.float64), two.astype(np.float64)
    return bool(a @ b >= ALIKE * np.linalg.norm(a) * np.linalg.norm(b))
