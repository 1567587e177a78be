"""Manuals cut as the usual design cuts them: 512 tokens, 64 of them in the next chunk too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from tokenizers import Tokenizer

MODEL = Path(__file__).resolve().parents[2] / "deploy" / "models" / "all-MiniLM-L6-v2"
SIZE, OVERLAP = 512, 64


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a document."""

    file: str
    pages: tuple[int, ...]
    """All pages it has words of: it counts for each."""
    text: str


class Cutter:
    """Cuts by the tokens of the embedding model."""

    def __init__(self) -> None:
        self._tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def chunks(self, file: str, pages: Sequence[tuple[int | None, str]]) -> Iterator[Chunk]:
        """Yield the chunks of a document, given as pages (None: it has none) and their text."""
        text, starts = "", []
        for page, words in pages:
            starts.append((len(text), page))
            text += f"{words}\n"
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        for first in range(0, max(1, len(offsets) - OVERLAP), SIZE - OVERLAP):
            window = offsets[first : first + SIZE]
            if not window:
                return
            begin, end = window[0][0], window[-1][1]
            ends = [start for start, _ in starts[1:]] + [len(text)]
            touched = [
                page
                for (start, page), stop in zip(starts, ends, strict=True)
                if start < end and stop > begin and page is not None
            ]
            yield Chunk(file, tuple(dict.fromkeys(touched)), text[begin:end])
