"""What a reader in its child process tells the service: MessagePack in frames on a pipe."""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec

from schemas.retrieval import Passage

MAX_FRAME = 16 * 2**20
"""Bytes of a frame beyond which the child is not believed."""
MAX_PASSAGE = 2**20
"""Bytes of a passage at most: what is larger does not go through the broker."""
MAX_TITLE = 300
"""Characters of a document's own title that are kept."""
BATCH_BYTES = 256 * 1024
"""Bytes of passages after which a batch is sent."""
HEAD = struct.Struct(">I")
"""Length of a frame, before it."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader shall do; its only argument, as JSON."""

    path: str
    """The file."""
    name: str
    """Its name as people know it."""
    tokenizer: str
    """Tokenizer file that counts tokens."""
    chunk_tokens: int = 512
    overlap_tokens: int = 64
    max_pages: int = 10_000
    """Longer documents are refused."""
    ocr_pages: int = 200
    """Pages that may be recognised from their pictures."""
    ocr_seconds: float = 30.0
    """Time for each."""
    memory_mb: int = 768
    """Limit on memory, MiB."""
    cpu_s: int = 900
    """Limit on processor time, seconds."""
    open_files: int = 64
    """Limit on open files."""
    parent: int = 0
    """Process id of the starter, with which the reader ends; set by the sandbox."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far reading is."""

    done: int
    """Pages read."""
    total: int | None
    """Pages in all, null while unknown."""


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun"):
    """Passages follow: what is known before the first of them."""

    title: str
    """Title from the file, empty where it has none."""


class Batch(msgspec.Struct, frozen=True, kw_only=True, tag="batch"):
    """Passages, in their order."""

    passages: list[Passage]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The file is read."""

    title: str
    """Title from the file, empty where it has none."""
    lang: str
    """Main language."""
    pages: int | None
    """Pages, null where the format has none."""
    passages: int
    """Passages in all."""
    peak_mb: float = 0.0
    """Most memory the child had resident, MiB."""
    note: str = ""
    """What people should know of what could not be read, empty when all was."""
    lacks_ocr: bool = False
    """Whether that is for want of text recognition on this machine."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The file cannot be read."""

    kind: str
    """rejected, needs-ocr, retryable (the disk is full), fatal (Andon itself is at fault), or
    memory."""
    operation: str
    reason: str
    hint: str = ""


Frame = Progress | Begun | Batch | Done | Failed

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def write(pipe: BinaryIO, frame: Frame) -> None:
    """Send a frame."""
    payload = _encoder.encode(frame)
    pipe.write(HEAD.pack(len(payload)) + payload)
    pipe.flush()


def decode(payload: bytes) -> Frame:
    """Return a frame.

    Raises:
        msgspec.DecodeError: it is none.
        msgspec.ValidationError: it is none.
    """
    return _decoder.decode(payload)


def size(passage: Passage) -> int:
    """Return the bytes a passage takes in a batch."""
    return len(_encoder.encode(passage))
