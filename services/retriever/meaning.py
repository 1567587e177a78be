"""Questions by their meaning: a question's vector, and the passages nearest to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, Vectors
from services.retriever.vectors import VectorIndex, nearest
from services.runtime.errors import AndonError, DeadlineExceeded, Rejected, Retryable

EMBED_S = 1.5
"""A question whose vector takes longer is searched by codes and words, seconds."""
ENGLISH = "all-MiniLM"
"""What the names of models begin with that know English alone, the bundled one's among them."""
NARROW = 4000
"""Passages of a scope that are compared one by one when the index brings too few of it."""


class Meaning:
    """The embedding model and the index, as a search needs them; without a model until `use`."""

    def __init__(self, corpus: Corpus, on_embedding: Callable[[AndonError | None], None]) -> None:
        """Prepare.

        Args:
            corpus: the truth.
            on_embedding: told after each question whether it could be embedded.
        """
        self._corpus = corpus
        self._on_embedding = on_embedding
        self._embedder: Embedder | None = None
        self._index: Callable[[], VectorIndex | None] | None = None
        # Its own: an embedding server that hangs must not hold the threads of everyone else.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="question")
        self._hanging: set[asyncio.Future[Vectors]] = set()

    def use(self, embedder: Embedder, index: Callable[[], VectorIndex | None]) -> None:
        """Search by meaning from now on.

        Args:
            embedder: turns the question into a vector.
            index: gives the index as it is now; it is replaced when it is rebuilt.
        """
        self._embedder = embedder
        self._index = index

    def speaks(self, lang: str) -> bool:
        """Return whether the model knows a language: the bundled one knows English."""
        return self._embedder is not None and (
            lang != "zh" or not self._embedder.name.startswith(ENGLISH)
        )

    async def embed(self, question: str) -> NDArray[np.float32] | None:
        """Return a question's vector [dimension]; None where there is none now."""
        if self._embedder is None or self._hanging:
            return None
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._embedder.embed, [question]
        )
        try:
            done, _ = await asyncio.wait([work], timeout=EMBED_S)
            if not done:
                # Until it is back the others do not wait as well.
                self._hanging.add(work)
                work.add_done_callback(self._back)
                raise DeadlineExceeded("embed the question", f"no vector within {EMBED_S} s")
            vectors = work.result()
        except (Retryable, Rejected) as error:
            self._on_embedding(error)
            return None
        self._on_embedding(None)
        vector: NDArray[np.float32] = vectors[0]
        return vector

    async def nearest(
        self,
        vector: NDArray[np.float32] | None,
        limit: int,
        scope: Sequence[int] | None,
        enough: int,
    ) -> list[tuple[int, float]]:
        """Return the passages nearest to a vector [dimension] and their cosines, best first.

        Args:
            vector: of the question; None finds nothing.
            limit: how many at most.
            scope: numbers of the revisions to search; all that answer when None.
            enough: so many of the scope among the nearest of all need no closer look.
        """
        index = self._index() if self._index is not None else None
        if vector is None or index is None:
            return []
        if scope is None:
            return await asyncio.to_thread(index.search, vector, limit)
        wide = await asyncio.to_thread(index.search, vector, 4 * limit)
        inside = await self._corpus.inside([label for label, _ in wide], scope)
        hits = [(label, cosine) for label, cosine in wide if label in inside]
        if len(hits) >= enough:
            return hits[:limit]
        if sum(self._corpus.sizes.get(number, 0) for number in scope) > NARROW:
            return hits
        pairs: list[tuple[int, float]] = []
        for number in scope:
            labels, vectors = await self._corpus.compared(number)
            pairs += nearest(vector, labels, vectors, limit)
        return sorted(pairs, key=lambda pair: -pair[1])[:limit]

    def close(self) -> None:
        """Let the threads go, without waiting for a server that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _back(self, work: asyncio.Future[Vectors]) -> None:
        """See that what hung has ended; how it ended, the next question finds out."""
        self._hanging.discard(work)
        if not work.cancelled():
            work.exception()
