"""HNSW over the vectors of what answers: derived from the corpus, rebuilt when it does not match.

The graph cannot be asked while it is changed: both take turns, and changes go in slices so small
that a question waits for a few milliseconds at most. Labels are passage numbers, which the corpus
never uses twice.

Equal vectors are one point of the graph: links go to the nearest, so a few hundred equal ones
know only each other, and a search that begins among them never leaves.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import hnswlib
import numpy as np
from numpy.typing import NDArray

from services.retriever.embedding import Vectors
from services.retriever.turns import Turns

M = 16
"""Links of a vector, as hnswlib names it."""
EF_CONSTRUCTION = 200
EF = 80
"""Candidates looked at for a question: 0.99 of the true nearest 50 in 10,000."""
SLICE = 4
"""Vectors added in one turn: 1 ms in a graph of 10,000, 5 ms in one of 100,000."""
FORGOTTEN = 64
"""Vectors removed in one turn, and looked up in one for a change: below 1 ms."""
ROOM = 1024
"""Capacity an index has at least."""
EACH = 8
"""Passages handed out of those with one vector."""

_LABEL = 100
"""What Python keeps of a label, bytes."""


class VectorIndex:
    """Nearest vectors by cosine; vectors must have length 1."""

    def __init__(self, index: hnswlib.Index, points: Iterable[tuple[int, int]] = ()) -> None:
        self._index = index
        self._index.set_ef(EF)
        # A label's point stands for its vector in the graph: the first label that had it. Nearly
        # all stand for themselves, so what they are is kept of the others alone.
        self._alone: set[int] = set()
        """Points that have no label but their own."""
        self._groups: dict[int, list[int]] = {}
        """Of other points their labels."""
        self._point: dict[int, int] = {}
        """Of those labels their point."""
        self._keys: dict[bytes, int] | None = None
        """Vector, shortened, to its point; made for the first change, let go of when saved."""
        self._resting: dict[bytes, int] = {}
        """The same of points that were removed and whose place was not taken: they come back
        without being added. A label must never be added while the graph has it at rest: when its
        old place is taken, hnswlib forgets the new one."""
        self._changing = threading.Lock()
        self._turns = Turns()
        for label, point in points:
            self._join(label, point)

    @classmethod
    def empty(cls, dimension: int, capacity: int = ROOM) -> Self:
        """Make an index with room for `capacity` vectors; it grows when there are more."""
        index = hnswlib.Index(space="ip", dim=dimension)
        index.init_index(
            max_elements=max(ROOM, capacity),
            M=M,
            ef_construction=EF_CONSTRUCTION,
            allow_replace_deleted=True,
        )
        return cls(index)

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return int(self._index.dim)

    def __len__(self) -> int:
        return len(self._alone) + len(self._point)

    def add(self, labels: Sequence[int] | NDArray[np.int64], vectors: Vectors) -> None:
        """Add vectors [n, dimension] under their labels; those already there are skipped."""
        with self._changing:
            keys = self._known()
            pairs = list(zip((int(label) for label in labels), map(_key, vectors), strict=True))
            with self._turns:
                new = self._wake(pairs, keys)
            for begin in range(0, len(new), SLICE):
                rows = new[begin : begin + SLICE]
                with self._turns:
                    self._add([pairs[row] for row in rows], vectors[rows], keys)
            if new and self._resting:
                there = set(self._index.get_ids_list())
                self._resting = {k: point for k, point in self._resting.items() if point in there}

    def _wake(self, pairs: Sequence[tuple[int, bytes]], keys: dict[bytes, int]) -> list[int]:
        """Add what the graph has, answering or at rest; return the rows of the others."""
        others: list[int] = []
        for row, (label, key) in enumerate(pairs):
            if label in self._alone or label in self._point:
                continue
            point = keys.get(key)
            if point is None:
                point = self._resting.pop(key, None)
                if point is None:
                    others.append(row)
                    continue
                self._index.unmark_deleted(point)
                keys[key] = point
            self._join(label, point)
        return others

    def _add(
        self, pairs: Sequence[tuple[int, bytes]], vectors: Vectors, keys: dict[bytes, int]
    ) -> None:
        first: list[int] = []
        for row, (label, key) in enumerate(pairs):
            point = keys.setdefault(key, label)
            if point == label:
                first.append(row)
            self._join(label, point)
        if first:
            self._grow()
            names = [pairs[row][0] for row in first]
            self._index.add_items(vectors[first], names, num_threads=1, replace_deleted=True)

    def _join(self, label: int, point: int) -> None:
        """Put a label to the point that stands for its vector."""
        group = self._groups.get(point)
        if group is None and label == point:
            self._alone.add(label)
            return
        if group is None:
            group = self._groups[point] = []
            if point in self._alone:
                self._alone.discard(point)
                group.append(point)
                self._point[point] = point
        group.append(label)
        self._point[label] = point

    def _leave(self, label: int) -> int | None:
        """Take a label from its point; return that where it was the last one."""
        if label in self._alone:
            self._alone.discard(label)
            return label
        point = self._point.pop(label, None)
        if point is None:
            return None
        group = self._groups[point]
        group.remove(label)
        if group:
            return None
        del self._groups[point]
        return point

    def _known(self) -> dict[bytes, int]:
        if self._keys is not None:
            return self._keys
        keys: dict[bytes, int] = {}
        answering = [*self._alone, *self._groups]
        for begin in range(0, len(answering), FORGOTTEN):
            some = answering[begin : begin + FORGOTTEN]
            vectors = self._index.get_items(some)
            keys.update(zip(map(_key, vectors), some, strict=True))
        for point in set(self._index.get_ids_list()).difference(answering):
            with self._turns:
                self._index.unmark_deleted(point)  # else it does not tell its vector
                self._resting[_key(self._index.get_items([point])[0])] = point
                self._index.mark_deleted(point)
        self._keys = keys
        return keys

    def remove(self, labels: Iterable[int]) -> None:
        """Forget vectors; their room is used again, by themselves where they come back first.

        Unknown labels are fine.
        """
        with self._changing:
            keys = self._known()
            every = list(labels)
            for begin in range(0, len(every), FORGOTTEN):
                with self._turns:
                    for label in every[begin : begin + FORGOTTEN]:
                        point = self._leave(label)
                        if point is None:
                            continue
                        key = _key(self._index.get_items([point])[0])
                        del keys[key]
                        self._resting[key] = point
                        self._index.mark_deleted(point)

    def search(self, vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        """Return labels and cosines of the nearest, nearest first.

        Passages with one vector count once, so that many of them hide no others; the answer is
        longer than `limit` by the up to `EACH` - 1 others of each.
        """
        with self._turns:
            points = len(self._alone) + len(self._groups)
            return [
                (label, cosine)
                for point, cosine in self._nearest(vector, min(limit, points))
                for label in self._groups.get(point, (point,))[:EACH]
            ]

    def _nearest(self, vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        looked = EF
        try:
            while limit:
                try:
                    labels, distances = self._index.knn_query(vector, k=limit, num_threads=1)
                    return _pairs(labels[0], 1.0 - distances[0])
                except RuntimeError:
                    # A graph with many deleted vectors may not reach `limit` live ones: look at
                    # all, then be content with fewer.
                    if looked != EF:
                        limit //= 2
                    looked = max(EF, 2 * self._index.element_count) + 1
                    self._index.set_ef(looked)
        finally:
            if looked != EF:
                self._index.set_ef(EF)
        return []

    def labels(self) -> set[int]:
        """Return the labels of all vectors."""
        with self._changing:
            return self._alone | self._point.keys()

    @contextmanager
    def standing(self) -> Iterator[tuple[hnswlib.Index, NDArray[np.int64]]]:
        """Let nothing change for as long as the block lasts, to write it; questions go on.

        Gives the graph, and label and point of each vector [n, 2].
        """
        with self._changing:
            alone = np.fromiter(self._alone, dtype=np.int64, count=len(self._alone))
            others = np.array(list(self._point.items()), dtype=np.int64).reshape(-1, 2)
            self._keys = None
            yield self._index, np.concatenate([np.column_stack([alone, alone]), others])

    def _grow(self) -> None:
        """Make room for what was just joined."""
        need, room = len(self._alone) + len(self._groups), self._index.max_elements
        if need > room:
            self._index.resize_index(max(need, room + room // 2))


def bytes_each(dimension: int) -> int:
    """Return the memory a vector takes in an index, with its links and labels."""
    return 4 * dimension + 4 * (2 * M + 1) + 8 + _LABEL


def nearest(
    vector: NDArray[np.float32], labels: NDArray[np.int64], vectors: Vectors, limit: int
) -> list[tuple[int, float]]:
    """Compare with every vector [n, dimension]: for a scope too narrow for the index."""
    if not len(labels) or vectors.shape[1] != len(vector):
        return []  # none, or of another model: it takes over in this moment, see `Finder.find`
    cosines = vectors @ vector
    best = np.argsort(-cosines, kind="stable")[:limit]
    return _pairs(labels[best], cosines[best])


def _key(vector: NDArray[np.float32]) -> bytes:
    # As the corpus keeps it: a vector is first added as the model made it, and comes back rounded.
    return hashlib.blake2b(vector.astype(np.float16).tobytes(), digest_size=12).digest()


def _pairs(labels: Iterable[int], cosines: Iterable[float]) -> list[tuple[int, float]]:
    return [(int(label), float(cosine)) for label, cosine in zip(labels, cosines, strict=True)]
