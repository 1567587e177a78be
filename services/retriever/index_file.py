"""The file of the vectors' index: written beside the serving one, read at the start.

hnswlib holds the interpreter while it writes, 0.1 to 0.5 s with 100,000 vectors, and every search
would wait for it. So a forked process writes: it has the memory as it was at that moment, and
parting takes 7 ms.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import hnswlib
import msgspec
import numpy as np

from services.retriever.index_writer import Writer, checksum
from services.retriever.vectors import VectorIndex

META = "vectors.json"


class _Meta(msgspec.Struct, frozen=True):
    file: str
    mark: str
    generation: int
    embedding: str
    dimension: int
    count: int
    crc32: int
    """Of the graph and the labels, one after the other."""


@dataclass(frozen=True, slots=True)
class Saved:
    """An index as it was written."""

    index: VectorIndex
    """It holds what the corpus held then."""
    generation: int
    """Of the corpus, then."""
    count: int
    """Vectors that answered then."""


def load(folder: Path, *, marks: Collection[str], embedding: str, dimension: int) -> Saved | None:
    """Return the index that was saved for a corpus, perhaps of an earlier generation.

    A file that is missing, damaged or of another kind is no reason to stop: it is rebuilt.

    Args:
        folder: where it was saved.
        marks: by which the corpus knows its files: numbers of passages are those of one corpus.
        embedding: label of the vectors.
        dimension: length of a vector.
    """
    try:
        meta = msgspec.json.decode((folder / META).read_bytes(), type=_Meta)
        if meta.mark not in marks or (meta.embedding, meta.dimension) != (embedding, dimension):
            return None
        path = folder / meta.file
        # hnswlib follows the links of a damaged file into foreign memory: look first.
        # A label that the graph does not have would be met at some later change.
        labels = Path(f"{path}.labels")
        if checksum(path, labels) != meta.crc32:
            return None
        points = np.fromfile(labels, dtype=np.int64)
        index = hnswlib.Index(space="ip", dim=dimension)
        index.load_index(str(path), allow_replace_deleted=True)
    except (OSError, RuntimeError, MemoryError, msgspec.MsgspecError):
        return None
    if len(points) != 2 * meta.count:
        return None
    pairs = points.reshape(-1, 2).tolist()
    return Saved(
        VectorIndex(index, ((label, point) for label, point in pairs)), meta.generation, meta.count
    )


@dataclass(frozen=True, slots=True)
class Writing:
    """An index that is being written."""

    writer: Writer
    folder: Path
    meta: _Meta
    """The note, with no checksum yet."""

    def finish(self) -> None:
        """Wait until it is written, then put it in the place of the one before; blocks.

        Raises:
            OSError: the disk is full, read-only, failing or hanging; what was there stays.
        """
        crc32 = self.writer.result()
        name = self.meta.file
        for file in (name, f"{name}.labels"):
            (self.folder / f"{file}.part").replace(self.folder / file)
        note = self.folder / f"{META}.part"
        note.write_bytes(msgspec.json.encode(msgspec.structs.replace(self.meta, crc32=crc32)))
        note.replace(self.folder / META)
        for old in self.folder.glob("vectors-*"):
            if not old.name.startswith(name) or old.suffix == ".part":
                old.unlink(missing_ok=True)


def begin(
    index: VectorIndex, folder: Path, *, mark: str, generation: int, embedding: str
) -> Writing:
    """Begin to write the index as it is now; it may change as soon as this returns.

    Args:
        index: complete for the generation.
        folder: is made where it is missing.
        mark: a name that no file had before.
        generation: of the corpus.
        embedding: label of the vectors.

    Raises:
        OSError: the disk is read-only, or there is no process to be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"vectors-{mark}.hnsw"
    with index.standing() as (graph, points):
        writer = Writer(graph, points, folder / f"{name}.part", folder / f"{name}.labels.part")
    meta = _Meta(
        file=name,
        mark=mark,
        generation=generation,
        embedding=embedding,
        dimension=index.dimension,
        count=len(points),
        crc32=0,
    )
    return Writing(writer, folder, meta)
