"""The part of config.yaml about documents."""

from __future__ import annotations

from typing import Annotated

import msgspec

from services.runtime.config_values import MODELS, Positive, Seconds


class Ingest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How documents become passages."""

    chunk_tokens: Annotated[int, msgspec.Meta(ge=32, le=4096)] = 512
    """Length of a passage of running text, tokens of the embedding model at most."""
    overlap_tokens: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 64
    """How much of it the next one repeats, tokens."""
    tokenizer: str = str(MODELS / "all-MiniLM-L6-v2" / "tokenizer.json")
    """Tokenizer file that counts them."""
    max_file_mb: Positive = 512
    """Larger files are refused, MiB."""
    max_pages: Positive = 10_000
    """Longer documents are refused."""
    ocr_pages: Annotated[int, msgspec.Meta(ge=0)] = 200
    """Pages of a document whose text is recognised from their picture at most; 0: none."""
    ocr_seconds: Seconds = 30.0
    """Time for each of them; what is not recognised by then is left out, and said so."""
    reader_memory_mb: Positive = 768
    """Memory limit of the process that reads one file, MiB."""
    reader_seconds: Positive = 900
    """Time limit of the process that reads one file."""
    keep_revisions: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    """Revisions of a document that are kept besides the one that answers, for `andon rollback`."""
    inbox: str = ""
    """Folder whose files are taken in by themselves; empty: `<data>/inbox`."""
    inbox_deletes: bool = True
    """Whether a document goes when its file is deleted there."""
    inbox_scan_s: Seconds = 2.0
    """Seconds between two looks at it; more where looking takes long."""
    inbox_settle_s: Seconds = 2.0
    """A file that did not change for so long is complete, s."""
    inbox_grace_s: Seconds = 30.0
    """A file that is missing for so long was deleted, s."""
    idle_exit_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """With nothing to do for so long, s, the service ends; systemd starts it again. 0: it stays."""
    budget_mb: Positive = 64
    """Memory the service itself should stay under, MiB."""
