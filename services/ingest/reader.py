"""Reads one file and writes its passages to a pipe.

Runs as a child of the service, forked for this one file, see zygote.py. What was not loaded before
is imported here only, after the limits are in place.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from schemas.retrieval import Passage
from services.ingest import frames, language
from services.ingest.confine import confine
from services.runtime.errors import AndonError, Fatal, Rejected, Retryable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LANGUAGE_SAMPLE = 200_000
"""Characters of a document its language is judged by."""
_OCR_SHARE = 0.8
"""Part of the reader's time after which no more pages are recognised."""
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
_HINT = "set ingest.tokenizer to the tokenizer.json of the embedding model"
_ROOM = "look at the disk of the data folder and of the folder for temporary files"


def main(job: frames.Job) -> int:
    """Read the job's file; return the exit code."""
    # Libraries print: only frames may reach the pipe.
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    confine(
        parent=job.parent,
        memory_mb=job.memory_mb,
        cpu_s=job.cpu_s,
        open_files=job.open_files,
        reads=(job.path, job.tokenizer),
        writes=(str(Path.cwd()),),
    )
    try:
        _read(job, pipe)
    except MemoryError:
        failure = frames.Failed(kind="memory", operation="read", reason="out of memory")
    except AndonError as error:
        failure = frames.Failed(
            kind=error.kind, operation=error.operation, reason=error.reason, hint=error.hint
        )
    except RecursionError:
        failure = frames.Failed(
            kind="rejected",
            operation="read",
            reason="its parts are nested too deeply",
            hint="the file is damaged, or was made to do harm",
        )
    else:
        return 0
    frames.write(pipe, failure)
    return 1


def _meaning(error: Exception, path: str) -> Exception:
    """Return what an error of a reader means to those who wait for it."""
    if isinstance(error, ImportError) and "failed to map segment" in str(error):
        return MemoryError()  # how the loader says that there is no room for a library
    if isinstance(error, OSError) and error.errno in _DISK:
        return Retryable("read", f"{error.strerror}: {error.filename or path}", _ROOM)
    return Rejected(
        "read",
        f"the file is damaged in a way its reader does not know "
        f"({type(error).__name__}: {str(error)[:200]})",
        "open it in the program it comes from, save it anew and add that",
    )


def _read(job: frames.Job, pipe: BinaryIO) -> None:
    count = _counter(job.tokenizer)
    from services.ingest.partition import offline  # noqa: PLC0415  (after the limits)

    offline.prepare()
    from services.ingest import chunking, partition  # noqa: PLC0415  (heavy: after the limits)
    from services.ingest.partition import effort  # noqa: PLC0415

    def progress(done: int, total: int | None) -> None:
        if max(done, total or 0) > job.max_pages:
            raise Rejected(
                "read",
                f"it has {total or done} pages, more than the {job.max_pages} allowed",
                "split it, or raise ingest.max_pages",
            )
        frames.write(pipe, frames.Progress(done=done, total=total))

    try:
        limit = effort.Effort(job.ocr_pages, job.ocr_seconds, _OCR_SHARE * job.cpu_s)
        document = partition.read(Path(job.path), job.name, progress, limit)
    except (AndonError, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise _meaning(error, job.path) from error
    title = document.title[: frames.MAX_TITLE]
    frames.write(pipe, frames.Begun(title=title))
    sizes = chunking.Sizes(job.chunk_tokens, job.overlap_tokens)
    batch: list[Passage] = []
    weight = total = 0
    sample = ""
    for passage in chunking.passages(document.elements, count, sizes, document.labels):
        batch.append(passage)
        own = frames.size(passage)
        if own > frames.MAX_PASSAGE:
            raise Rejected(
                "read",
                f"passage {passage.ordinal + 1} of it has {own / 2**20:.1f} MB, more than the "
                f"{frames.MAX_PASSAGE // 2**20} allowed",
                "split what is so long in it, or leave it out",
            )
        weight += own
        total += 1
        if len(sample) < _LANGUAGE_SAMPLE:
            sample += passage.text
        if weight >= frames.BATCH_BYTES // 2:
            frames.write(pipe, frames.Batch(passages=batch))
            batch, weight = [], 0
    if batch:
        frames.write(pipe, frames.Batch(passages=batch))
    frames.write(
        pipe,
        frames.Done(
            title=title,
            lang=language.of(sample),
            pages=document.pages,
            passages=total,
            peak_mb=_peak_mb(),
            note=document.note,
            lacks_ocr=bool(limit.missed),
        ),
    )


def _peak_mb() -> float:
    """Return the most memory this program had, MiB; `getrusage` counts who started it as well."""
    for line in (
        Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    ):
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


@functools.cache
def tokenizer(path: str) -> Tokenizer | None:
    """Return the tokenizer of a file, None where there is no such file.

    Raises:
        Fatal: the file is none.
    """
    from tokenizers import Tokenizer  # noqa: PLC0415  (heavy)

    if not Path(path).is_file():
        return None
    try:
        found = Tokenizer.from_file(path)
    except Exception as error:
        raise Fatal("count tokens", f"{path} is no tokenizer file: {error}", _HINT) from error
    found.no_truncation()
    found.no_padding()
    return found


def _counter(path: str) -> Callable[[str], int]:
    """Return what counts tokens.

    Raises:
        Fatal: the tokenizer file is not there or is none.
    """
    found = tokenizer(path)
    if found is None:
        raise Fatal("count tokens", f"the tokenizer file {path} is missing", _HINT)
    from services.ingest.splitting import WordCount  # noqa: PLC0415  (after the limits)

    return WordCount(lambda text: len(found.encode(text, add_special_tokens=False).ids))
