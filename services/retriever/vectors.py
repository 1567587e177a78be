"""HNSW over the vectors of what answers: derived from the corpus, rebuilt when it does not match.

One owner: a lock serialises adding and asking, and adding goes in small slices so that a
question never waits long. Labels are passage numbers, which the corpus never uses twice.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import hnswlib
import msgspec
import numpy as np
from numpy.typing import NDArray

from services.retriever.embedding import Vectors

M = 16
"""Links of a vector, as hnswlib names it."""
EF_CONSTRUCTION = 200
EF = 80
"""Candidates looked at for a question: 0.99 of the true nearest 50 in 10,000."""
SLICE = 32
"""Vectors added under one lock, about 5 ms."""
ROOM = 1024
"""Capacity an index has at least."""
META = "vectors.json"


class _Meta(msgspec.Struct, frozen=True):
    file: str
    generation: int
    embedding: str
    dimension: int
    count: int
    crc32: int


class VectorIndex:
    """Nearest vectors by cosine; vectors must have length 1."""

    def __init__(self, index: hnswlib.Index, labels: Iterable[int] = ()) -> None:
        self._index = index
        self._index.set_ef(EF)
        self._labels = set(labels)
        self._lock = threading.Lock()

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

    @classmethod
    def load(cls, folder: Path, *, generation: int, embedding: str, dimension: int) -> Self | None:
        """Return the saved index if it was built from this generation and model, else None.

        A file that is missing, damaged or of another kind is no reason to stop: it is rebuilt.
        """
        try:
            meta = msgspec.json.decode((folder / META).read_bytes(), type=_Meta)
            if (meta.generation, meta.embedding) != (generation, embedding):
                return None
            path = folder / meta.file
            # hnswlib follows the links of a damaged file into foreign memory: look first.
            if _checksum(path) != meta.crc32 or meta.dimension != dimension:
                return None
            labels = np.fromfile(f"{path}.labels", dtype=np.int64)
            index = hnswlib.Index(space="ip", dim=dimension)
            index.load_index(str(path), allow_replace_deleted=True)
        except (OSError, RuntimeError, MemoryError, msgspec.MsgspecError):
            return None
        return cls(index, labels.tolist()) if len(labels) == meta.count else None

    def __len__(self) -> int:
        return len(self._labels)

    def add(self, labels: Sequence[int] | NDArray[np.int64], vectors: Vectors) -> None:
        """Add vectors [n, dimension] under their labels; those already there are skipped."""
        new = [row for row, label in enumerate(labels) if int(label) not in self._labels]
        for begin in range(0, len(new), SLICE):
            rows = new[begin : begin + SLICE]
            with self._lock:
                self._grow(len(rows))
                names = [int(labels[row]) for row in rows]
                self._index.add_items(vectors[rows], names, num_threads=1, replace_deleted=True)
                self._labels.update(names)

    def remove(self, labels: Iterable[int]) -> None:
        """Forget vectors; their room is used again. Unknown labels are fine."""
        with self._lock:
            for label in labels:
                if label in self._labels:
                    self._labels.discard(label)
                    self._index.mark_deleted(label)

    def search(self, vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        """Return labels and cosines of the nearest, nearest first."""
        with self._lock:
            limit = min(limit, len(self._labels))
            if not limit:
                return []
            # A graph with many deleted vectors may not reach `limit` live ones.
            with contextlib.suppress(RuntimeError):
                labels, distances = self._index.knn_query(vector, k=limit, num_threads=1)
                return _pairs(labels[0], 1.0 - distances[0])
            self._index.set_ef(max(EF, 2 * self._index.element_count))
            try:
                labels, distances = self._index.knn_query(vector, k=limit, num_threads=1)
            finally:
                self._index.set_ef(EF)
            return _pairs(labels[0], 1.0 - distances[0])

    def save(self, folder: Path, *, generation: int, embedding: str) -> None:
        """Write the index, then the note that says what it was built from; each by a rename."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"vectors-{generation}.hnsw"
        with self._lock:
            part = folder / f"{name}.part"
            self._index.save_index(str(part))
            # hnswlib does not look whether its writes succeed.
            if part.stat().st_size != self._index.index_file_size():
                part.unlink()
                raise OSError(errno.ENOSPC, "the index could not be written whole", str(part))
            labels = np.fromiter(self._labels, dtype=np.int64, count=len(self._labels))
        meta = _Meta(
            file=name,
            generation=generation,
            embedding=embedding,
            dimension=self._index.dim,
            count=len(labels),
            crc32=_checksum(part),
        )
        part.replace(folder / name)
        labels_part = folder / f"{name}.labels.part"
        labels_part.write_bytes(labels.tobytes())
        labels_part.replace(folder / f"{name}.labels")
        note = folder / f"{META}.part"
        note.write_bytes(msgspec.json.encode(meta))
        note.replace(folder / META)
        for old in folder.glob("vectors-*"):
            if not old.name.startswith(f"{name}") or old.suffix == ".part":
                old.unlink(missing_ok=True)

    def _grow(self, more: int) -> None:
        have, room = len(self._labels), self._index.max_elements
        if have + more > room:
            self._index.resize_index(max(have + more, room + room // 2))


def nearest(
    vector: NDArray[np.float32], labels: NDArray[np.int64], vectors: Vectors, limit: int
) -> list[tuple[int, float]]:
    """Compare with every vector [n, dimension]: for a scope too narrow for the index."""
    if not len(labels):
        return []
    cosines = vectors @ vector
    best = np.argsort(-cosines, kind="stable")[:limit]
    return _pairs(labels[best], cosines[best])


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def _pairs(labels: Iterable[int], cosines: Iterable[float]) -> list[tuple[int, float]]:
    return [(int(label), float(cosine)) for label, cosine in zip(labels, cosines, strict=True)]
