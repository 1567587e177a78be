"""Reads a file in a child process that can be killed at any moment.

The service itself never opens a document: what crashes, hangs, grows or misbehaves is the
child, and all that is left of it is a reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from schemas.retrieval import Passage
from services.ingest import frames, scratch
from services.ingest.partition.effort import NeedsOcr
from services.ingest.readers import Reader, Readers
from services.runtime.errors import AndonError, Fatal, Rejected, Retryable

log = logging.getLogger(__name__)


class NoRoom(Retryable):
    """A reader cannot be started, or has no room for its temporary files."""


_ROOT = Path(__file__).resolve().parents[2]
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
_SAMPLE_S = 0.1
_END_S = 5.0
"""Seconds a reader may live on without its pipe."""
_NEAR_LIMIT = 0.85
"""Share of the memory limit above which a crash counts as want of memory."""
_OUT_OF_MEMORY = ("memory", "bad_alloc", "alloc")
_DAMAGED = "the file is damaged, or was made to do harm; save it anew and add that"


@dataclass(slots=True, frozen=True)
class Limits:
    """What a reader may use."""

    memory_mb: int = 768
    """Private memory, MiB."""
    seconds: float = 900.0
    """Time in which it must have read its file; waiting for us does not count."""
    output_mb: int = 256
    """All it may send, MiB."""


async def read(
    readers: Readers,
    job: frames.Job,
    limits: Limits,
    *,
    progress: Callable[[int, int | None], None],
    batch: Callable[[list[Passage]], None],
    begun: Callable[[str], None] = lambda _title: None,
) -> frames.Done:
    """Read a file in a child process.

    Args:
        readers: Where the child comes from.
        job: The file and how to cut it; its limits are set from `limits`.
        limits: What the child may use.
        progress: Told of pages read and pages in all.
        batch: Given the passages, in their order.
        begun: Told the file's own title, before the first passage.

    Raises:
        Rejected: the file cannot be read, with the reason; also a crash, or a limit it ran into.
        NoRoom: the reader cannot be started or work: the disk is full.
        Retryable: `batch` has no room.
        Fatal: Andon itself is at fault: a missing tokenizer file.
    """
    job = msgspec.structs.replace(
        job,
        memory_mb=limits.memory_mb,
        cpu_s=max(1, round(limits.seconds)),
        parent=os.getpid(),
    )
    with contextlib.ExitStack() as kept:
        try:
            folder = kept.enter_context(scratch.folder())
            with (folder / "stderr").open("wb") as errors:
                reader = await readers.start(job, _environment(folder), errors)
        except OSError as error:
            raise NoRoom(
                f"read {job.name}",
                f"its reader cannot be started: {error.strerror or error}",
                "look at the disk of the folder for temporary files, and at the memory",
            ) from error
        child = _Child(reader, folder / "stderr")
        try:
            return await child.talk(job, limits, progress, batch, begun)
        finally:
            await asyncio.shield(child.end())


def _environment(folder: Path) -> dict[str, str]:
    """Return all of a reader's environment; nothing of the service's goes along."""
    paths = [str(_ROOT), *(p for p in sys.path if p and p != str(_ROOT))]
    return _ENVIRONMENT | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join(paths),
    }


class _Child:
    """A reader at work."""

    def __init__(self, reader: Reader, errors: Path) -> None:
        self._reader = reader
        self._errors = errors
        self._peak_mb = 0.0
        self._watcher = asyncio.create_task(self._watch(), name="watch reader")

    async def talk(
        self,
        job: frames.Job,
        limits: Limits,
        progress: Callable[[int, int | None], None],
        batch: Callable[[list[Passage]], None],
        begun: Callable[[str], None],
    ) -> frames.Done:
        """Take what the child sends until it is done."""
        left = limits.seconds
        received = 0
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    payload = await self._frame(job)
            except TimeoutError:
                raise Rejected(
                    f"read {job.name}",
                    f"it took more than {limits.seconds:g} s to read",
                    "split the document, or raise ingest.reader_seconds",
                ) from None
            left = max(0.001, left - (time.monotonic() - began))
            if payload is None:
                raise await self._crash(job, limits)
            received += len(payload)
            if received > limits.output_mb * 2**20:
                raise Rejected(
                    f"read {job.name}",
                    f"more than {limits.output_mb} MB of text came out of it",
                    "the file was made to do harm, or is no manual",
                )
            match self._decoded(job, payload):
                case frames.Progress(done=done, total=total):
                    progress(done, total)
                case frames.Begun(title=title):
                    begun(title)
                case frames.Batch(passages=passages):
                    batch(passages)
                case frames.Done() as done_frame:
                    return done_frame
                case frames.Failed() as failed:
                    raise _failure(job, limits, failed)

    async def end(self) -> None:
        """Kill what is left and wait for its end."""
        self._watcher.cancel()
        self._reader.kill()
        await self._reader.wait()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watcher

    async def _frame(self, job: frames.Job) -> bytes | None:
        """Return the next frame's payload, None when the child ended without one.

        Raises:
            Rejected: it is larger than any may be.
        """
        stream = self._reader.output
        try:
            (length,) = frames.HEAD.unpack(await stream.readexactly(frames.HEAD.size))
            if length > frames.MAX_FRAME:
                raise Rejected(
                    f"read {job.name}",
                    f"its reader sent {length / 2**20:.0f} MB in one piece, more than the "
                    f"{frames.MAX_FRAME // 2**20} allowed",
                    _DAMAGED,
                )
            return await stream.readexactly(length)
        except asyncio.IncompleteReadError:
            return None

    def _decoded(self, job: frames.Job, payload: bytes) -> frames.Frame:
        try:
            return frames.decode(payload)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Rejected(f"read {job.name}", "its reader went wrong over it", _DAMAGED) from error

    async def _crash(self, job: frames.Job, limits: Limits) -> Rejected | Fatal:
        """Return why the child ended without a word."""
        # Its pipe closes a little before its end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._reader.wait()
        self._reader.kill()
        code = await self._reader.wait()
        said = self._said()
        # One that grew fast has ended before anybody looked: what it had the kernel tells.
        peak_mb = max(self._peak_mb, self._reader.resident_mb)
        log.info("reader of %s ended with %d, %.0f MB: %s", job.name, code, peak_mb, said)
        if code == -signal.SIGXCPU:
            return Rejected(
                f"read {job.name}",
                f"it took more than {limits.seconds:g} s of processor time to read",
                "split the document, or raise ingest.reader_seconds",
            )
        tail = said.casefold()
        short = peak_mb > _NEAR_LIMIT * limits.memory_mb
        if short or any(word in tail for word in _OUT_OF_MEMORY):
            return _memory(job, limits)
        if code > 0 and "ModuleNotFoundError" in said:
            return Fatal(f"read {job.name}", said.rsplit("\n", 1)[-1], "install andon[ingest]")
        what = _signal_name(-code) if code < 0 else f"exit code {code}"
        return Rejected(f"read {job.name}", f"its reader crashed over it ({what})", _DAMAGED)

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return self._errors.read_bytes()[-2000:].decode(errors="replace").strip()
        return ""

    async def _watch(self) -> None:
        """Keep the most memory the child was granted: after its end nobody tells."""
        status = Path(f"/proc/{self._reader.pid}/status")
        while self._reader.alive:
            with contextlib.suppress(OSError, ValueError, IndexError):
                for line in status.read_text().splitlines():  # noqa: ASYNC240  (/proc does not block)
                    if line.startswith("VmData:"):
                        self._peak_mb = max(self._peak_mb, int(line.split()[1]) / 1024)
            await asyncio.sleep(_SAMPLE_S)


def _failure(job: frames.Job, limits: Limits, failed: frames.Failed) -> AndonError:
    if failed.kind == "memory":
        return _memory(job, limits)
    kinds: dict[str, type[AndonError]] = {
        "fatal": Fatal,
        "retryable": NoRoom,
        NeedsOcr.kind: NeedsOcr,
    }
    return kinds.get(failed.kind, Rejected)(f"read {job.name}", failed.reason, failed.hint)


def _memory(job: frames.Job, limits: Limits) -> Rejected:
    return Rejected(
        f"read {job.name}",
        f"it needs more than {limits.memory_mb} MB of memory to read",
        "split the document, or raise ingest.reader_memory_mb",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
