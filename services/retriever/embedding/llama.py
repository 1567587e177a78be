"""A llama-server started with --embeddings, over its OpenAI form `POST /v1/embeddings`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.retriever.embedding import SAMPLE, AnotherModel, Vectors, unit
from services.retriever.embedding.model import alike
from services.retriever.model_server import ModelServer
from services.runtime.errors import Rejected, Retryable

TIMEOUT_S, TEXT_S = 5.0, 5.0
"""Longest wait for the server, and what each text of a batch adds."""
CHARACTERS = 6000
"""What is longer is cut before it is sent."""
WORD = "Fault E005"
"""By its vector, after each question, the model is seen to be the same: a few tokens where the
sample has forty."""
SHORTER = 0.75
"""Share of a text that is tried next where the server's batch or context cannot hold it."""
_TOO_LONG = re.compile(r"too (?:large to process|long)|context (?:size|length)", re.IGNORECASE)
"""How servers say so: llama.cpp with status 500, as if another try would help."""


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _Reply(msgspec.Struct):
    data: list[_Item]
    model: str = ""


_decode = msgspec.json.Decoder(_Reply).decode


class LlamaServerEmbedder:
    """One connection a call: several threads may call at the same time."""

    def __init__(self, url: str, *, model: str = "", batch: int = 8) -> None:
        """Ask the server for one vector, to know the model and its length.

        Raises:
            Fatal: the address is wrong.
            Retryable: the server is not there or not ready.
            Rejected: the server does not embed.
        """
        self._server = ModelServer(url, "retriever.embedding.url")
        # The folder of the bundled model is the configuration's default and no name here.
        self._model = "" if "/" in model else model
        self._batch = batch
        self._name = self._model
        self._dimension = 0
        self._sample: NDArray[np.float32] = self.embed([SAMPLE])[0]
        self._dimension = len(self._sample)
        self._word: NDArray[np.float32] = self._ask([WORD])[0]

    @property
    def name(self) -> str:
        """Return the name the server gives its model."""
        return f"llama-server/{self._name}/{self._dimension}"

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return self._dimension

    @property
    def sample(self) -> NDArray[np.float32]:
        """Return the vector by which the model is known, whatever the server calls it."""
        return self._sample

    @property
    def stamp(self) -> str:
        """Return nothing: the files are the server's."""
        return ""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, [len(texts), dimension]."""
        rows = [
            self._fitted([text[:CHARACTERS] for text in texts[begin : begin + self._batch]])
            for begin in range(0, len(texts), self._batch)
        ]
        if not rows:
            return np.zeros((0, self._dimension), dtype=np.float32)
        return unit(np.concatenate(rows))

    def _fitted(self, texts: list[str]) -> Vectors:
        """Return the vectors of some texts; what is too long for the server is cut until it fits.

        Only the server knows how many tokens a text has for it, and how many it takes.
        """
        try:
            return self._ask(texts)
        except (Retryable, Rejected) as error:
            if not _TOO_LONG.search(error.reason):
                raise
            if len(texts) > 1:
                return np.concatenate([self._fitted([text]) for text in texts])
            shorter = texts[0][: int(len(texts[0]) * SHORTER)]
            if not shorter:
                raise
            return self._fitted([shorter])

    def _ask(self, texts: list[str]) -> Vectors:
        body: dict[str, object] = {"input": texts, "encoding_format": "float"}
        if self._model:
            body["model"] = self._model
        operation = f"embed by {self._server.name}"
        payload = self._server.post(
            operation,
            f"{self._server.path}/v1/embeddings",
            body,
            patience_s=TIMEOUT_S + TEXT_S * len(texts),
            hint="was llama-server started with --embeddings?",
        )
        try:
            reply = _decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Rejected(operation, f"not an embedding reply: {error}") from error
        found = {item.index: item.embedding for item in reply.data}
        try:
            vectors = np.asarray([found[i] for i in range(len(texts))], dtype=np.float32)
        except (KeyError, ValueError) as error:
            raise Rejected(operation, "the reply lacks vectors or their lengths differ") from error
        if vectors.ndim != 2:
            raise Rejected(operation, f"vectors of shape {vectors.shape}")
        if self._dimension and vectors.shape[1] != self._dimension:
            raise AnotherModel(
                operation, f"vectors have {vectors.shape[1]} numbers, {self._dimension} before"
            )
        self._name = self._name or reply.model
        return vectors

    def confirm(self, *, briefly: bool = False) -> None:
        """Ask for the sample again, a text as short as a question; before that for a word perhaps.

        Another model says the same other thing twice. A server that works on several requests
        together may be a little off each time, and is the same model.
        """
        if briefly and alike(self._ask([WORD])[0], self._word):
            return
        found = self._ask([SAMPLE])[0]
        if not alike(found, self._sample) and alike(found, self._ask([SAMPLE])[0]):
            raise AnotherModel(f"embed by {self._server.name}", "the model is another one now")

    def rest(self) -> None:
        """Nothing to give back: the memory is the server's."""

    def verify(self) -> None:
        """Nothing to check: the files are the server's."""

    def close(self) -> None:
        """End calls that still wait for the server."""
        self._server.close()
