"""Questions by their meaning: a question's vector, and the passages nearest to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder
from services.retriever.vectors import VectorIndex, nearest
from services.runtime.errors import AndonError, DeadlineExceeded, Rejected, Retryable

EMBED_S = 1.5
"""A question whose vector takes longer is searched by codes and words, seconds."""
HEAD_START_S = 0.0002
"""An embedding that is begun gets the interpreter for so long at most, seconds. It needs 0.05 ms of
it before the model computes outside of it; else it would wait until the question is taken apart."""
ENGLISH = "all-MiniLM"
"""What the names of models begin with that know English alone, the bundled one's among them."""
NARROW = 4000
"""Passages of a scope that are compared one by one when the index brings too few of it."""
LIMIT = 32
"""Passages brought at most."""


@dataclass(frozen=True, slots=True)
class Look:
    """A question's vector, and what is near it wherever it is."""

    vector: NDArray[np.float32] | None = None
    """Of the question [dimension]; None where there is none now."""
    found: list[tuple[int, float]] = field(default_factory=list)
    """Passages and cosines, nearest first."""
    limited: bool = False
    """More of them, since some documents only are searched."""


NOTHING = Look()


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
        self._hanging: set[asyncio.Future[Look]] = set()

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

    def begin(self, question: str, *, limited: bool) -> asyncio.Task[Look]:
        """Begin to embed a question and to look for what is near; it goes on beside the caller.

        Args:
            question: in words.
            limited: some documents are searched; not all that answer.
        """
        work: asyncio.Future[Look] | None = None
        if self._embedder is not None and not self._hanging:
            index = self._index() if self._index is not None else None
            # At once, and both in one step of another thread: to hand over costs as much as to
            # look for what is near.
            begun = threading.Event()
            work = asyncio.get_running_loop().run_in_executor(
                self._threads, _look, self._embedder, index, question, limited, begun
            )
            begun.wait(HEAD_START_S)
        return asyncio.create_task(self._looked(work), name="embed")

    async def _looked(self, work: asyncio.Future[Look] | None) -> Look:
        """Return what comes of the work; nothing where there is no vector now."""
        if work is None:
            return NOTHING
        try:
            done, _ = await asyncio.wait([work], timeout=EMBED_S)
            if not done:
                # Until it is back the others do not wait as well.
                self._hanging.add(work)
                work.add_done_callback(self._back)
                raise DeadlineExceeded("embed the question", f"no vector within {EMBED_S} s")
            look = work.result()
        except (Retryable, Rejected) as error:
            self._on_embedding(error)
            return NOTHING
        self._on_embedding(None)
        return look

    async def nearest(
        self, look: Look, scope: Sequence[int] | None, enough: int
    ) -> list[tuple[int, float]]:
        """Return the passages nearest to a question and their cosines, best first.

        Args:
            look: what `begin` brought.
            scope: numbers of the revisions to search; all that answer when None.
            enough: so many of the scope among the nearest of all need no closer look.
        """
        index = self._index() if self._index is not None else None
        vector = look.vector
        if vector is None or index is None:
            return []
        found = look.found
        if look.limited != (scope is not None):  # the search was widened
            found = await asyncio.to_thread(index.search, vector, _many(limited=scope is not None))
        if scope is None:
            return found
        inside = await self._corpus.inside([label for label, _ in found], scope)
        hits = [(label, cosine) for label, cosine in found if label in inside]
        if len(hits) >= enough:
            return hits[:LIMIT]
        if sum(self._corpus.sizes.get(number, 0) for number in scope) > NARROW:
            return hits
        pairs: list[tuple[int, float]] = []
        for number in scope:
            labels, vectors = await self._corpus.compared(number)
            pairs += nearest(vector, labels, vectors, LIMIT)
        return sorted(pairs, key=lambda pair: -pair[1])[:LIMIT]

    def close(self) -> None:
        """Let the threads go, without waiting for a server that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _back(self, work: asyncio.Future[Look]) -> None:
        """See that what hung has ended; how it ended, the next question finds out."""
        self._hanging.discard(work)
        if not work.cancelled():
            work.exception()


def _look(
    embedder: Embedder,
    index: VectorIndex | None,
    question: str,
    limited: bool,
    begun: threading.Event,
) -> Look:
    begun.set()
    vector = embedder.embed([question])[0]
    # Another model's vectors may be as long: not one cosine is taken before this is known.
    embedder.confirm(briefly=True)
    found = [] if index is None else index.search(vector, _many(limited=limited))
    return Look(vector, found, limited)


def _many(*, limited: bool) -> int:
    return 4 * LIMIT if limited else LIMIT
