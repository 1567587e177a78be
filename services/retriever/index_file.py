"""The file of the vectors' index: written beside the serving one, read at the start.

hnswlib holds the interpreter while it writes, 0.1 to 0.5 s with 100,000 vectors, and every search
would wait for it. So a forked process writes: it has the memory as it was at that moment, and
parting takes 7 ms.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import hnswlib
import msgspec
import numpy as np
from numpy.typing import NDArray

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


class _Written(msgspec.Struct, frozen=True):
    """What the process that writes tells the one that serves."""

    crc32: int = 0
    error: int = 0
    """As in `OSError.errno`."""
    reason: str = ""


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
        if _checksum(path, labels) != meta.crc32:
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


def save(index: VectorIndex, folder: Path, *, mark: str, generation: int, embedding: str) -> None:
    """Write the index, then the note that says what it was built from; each by a rename.

    Args:
        index: complete for the generation.
        folder: is made where it is missing.
        mark: a name that no file had before.
        generation: of the corpus.
        embedding: label of the vectors.

    Raises:
        OSError: the disk is full, read-only or failing; what was there stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"vectors-{mark}.hnsw"
    part, labels_part = folder / f"{name}.part", folder / f"{name}.labels.part"
    with index.standing() as (graph, points):
        pid, reader = _fork(graph, points, part, labels_part)
    crc32 = _result(pid, reader, part)
    meta = _Meta(
        file=name,
        mark=mark,
        generation=generation,
        embedding=embedding,
        dimension=index.dimension,
        count=len(points),
        crc32=crc32,
    )
    part.replace(folder / name)
    labels_part.replace(folder / f"{name}.labels")
    note = folder / f"{META}.part"
    note.write_bytes(msgspec.json.encode(meta))
    note.replace(folder / META)
    for old in folder.glob("vectors-*"):
        if not old.name.startswith(name) or old.suffix == ".part":
            old.unlink(missing_ok=True)


def _fork(
    graph: hnswlib.Index, points: NDArray[np.int64], part: Path, labels_part: Path
) -> tuple[int, int]:
    """Begin to write in a process of its own; return that and where its result can be read."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid:
        os.close(writer)
        return pid, reader
    # Here is the copy: it has this thread alone, and nothing of the service's may run in it.
    code = 1
    try:
        os.write(writer, msgspec.msgpack.encode(_write(graph, points, part, labels_part)))
        code = 0
    finally:
        os._exit(code)


def _write(
    graph: hnswlib.Index, points: NDArray[np.int64], part: Path, labels_part: Path
) -> _Written:
    try:
        try:
            graph.save_index(str(part))
        except RuntimeError as error:  # hnswlib's word for a file it cannot open
            return _Written(error=errno.EIO, reason=str(error))
        # It does not look whether its writes succeed.
        if part.stat().st_size != graph.index_file_size():
            return _Written(error=errno.ENOSPC, reason="the index could not be written whole")
        labels_part.write_bytes(points.tobytes())
        return _Written(crc32=_checksum(part, labels_part))
    except OSError as error:
        return _Written(error=error.errno or errno.EIO, reason=str(error))


def _result(pid: int, reader: int, part: Path) -> int:
    """Wait for the process that writes; return the checksum of what it wrote.

    Raises:
        OSError: it failed, or was ended.
    """
    try:
        with os.fdopen(reader, "rb") as pipe:
            told = pipe.read()
    finally:
        os.waitpid(pid, 0)
    if not told:
        raise OSError(errno.EINTR, "the process that writes the index was ended", str(part))
    written = msgspec.msgpack.decode(told, type=_Written)
    if written.error:
        part.unlink(missing_ok=True)
        raise OSError(written.error, written.reason, str(part))
    return written.crc32


def _checksum(*paths: Path) -> int:
    total = 0
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total = zlib.crc32(block, total)
    return total
