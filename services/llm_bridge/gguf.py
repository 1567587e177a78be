"""A GGUF file's header: what the model is, and whether the file is whole (pure).

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import IO, Any

import msgspec

from services.runtime.errors import Rejected

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_LONGEST_HEADER = 256 << 20
"""Bytes; vocabularies of a million words take 30 MB."""
_MOST_KEYS = 4096
_MOST_TENSORS = 1 << 16
_LONGEST_KEPT = 1 << 20
"""Strings longer than this are passed over, bytes."""
_LONGEST_LIST = 1024
"""Lists longer than this are passed over: no model has so many layers."""
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _LIST = 8, 9
_DEEPEST = 2

# Elements and bytes of a block, by ggml's number of the type (gguf-py, `GGML_QUANT_SIZES`).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
    41: (128, 18),
}  # fmt: skip
# What a file is mostly made of, by its `general.file_type` (llama.h, `llama_ftype`).
_QUANTS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4",
    40: "Q1_0",
}  # fmt: skip


_ANEW = "copy it anew, or get it again"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of the model in it."""

    version: int
    """Of the format."""
    architecture: str
    """What llama.cpp calls its kind: `llama`, `qwen3`, …"""
    kind: str
    """`model`, or what else a GGUF file can hold: `adapter`, `mmproj`, `imatrix`, …"""
    name: str
    """Its name; empty where the file gives none."""
    context: int
    """Tokens it was trained on; 0 where the file does not say."""
    layers: int
    """Blocks."""
    width: int
    """Size of a hidden state."""
    feed_forward: int
    """Size of the layer between, the largest."""
    heads: int
    """Attention heads, the largest number."""
    kv_heads: tuple[int, ...]
    """Heads of keys and values by layer."""
    key_size: int
    """Of one head."""
    value_size: int
    """Of one head."""
    vocabulary: int
    """Tokens it knows."""
    tokenizer: str
    """Kind of tokenizer; empty where there is none."""
    quantisation: str
    """What most of its numbers are kept as, Q4_K_M for example; empty where unknown."""
    has_template: bool
    """Whether it brings the template of a chat."""
    parts: int
    """Files it is made of."""
    tensors: int
    """Tensors in this file."""
    end: int
    """Bytes the file must have to be whole."""


class EndsEarly(Rejected):
    """A file is shorter than its header."""


def read(file: IO[bytes], name: str) -> Header:
    """Read the header of a file.

    Args:
        file: from its beginning.
        name: what a person calls it.

    Raises:
        EndsEarly: it ends in its header; the rest may be on its way.
        Rejected: it is no GGUF file, or a broken one; the reason says where.
        OSError: it cannot be read.
    """
    source = _Source(file, name)
    if source.take(4) != MAGIC:
        raise source.broken("it is no GGUF file")
    version = source.number("I")
    if version not in _VERSIONS:
        swapped = struct.unpack(">I", struct.pack("<I", version))[0] in _VERSIONS
        reason = "it was written for big-endian machines" if swapped else f"GGUF version {version}"
        raise source.broken(f"{reason}; versions {_VERSIONS[0]} and {_VERSIONS[-1]} can be used")
    tensors = source.count("Q", _MOST_TENSORS, "tensors")
    keys = source.count("Q", _MOST_KEYS, "keys")
    found: dict[str, Any] = {}
    for _ in range(keys):
        key = source.string()
        found[key] = source.value(source.number("I"))
    ends = [_tensor(source) for _ in range(tensors)]
    alignment = found.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 16:
        raise source.broken("an alignment that cannot be")
    start = -(-source.at // alignment) * alignment
    return _header(version, found, tensors, start + max(ends, default=0))


def _tensor(source: _Source) -> int:
    """Return where a tensor ends, bytes from the first one's beginning."""
    source.string()
    sizes = [source.number("Q") for _ in range(source.count("I", 8, "dimensions"))]
    kind, offset = source.number("I"), source.number("Q")
    elements = math.prod(sizes)
    if elements > 1 << 48 or offset > 1 << 48:
        raise source.broken("a tensor larger than any")
    block, size = _BLOCKS.get(kind, (1, 0))  # of a type newer than this file the place is known
    return int(offset + -(-elements // block) * size)


def _header(version: int, found: Mapping[str, Any], tensors: int, end: int) -> Header:
    architecture = _text(found.get("general.architecture"))

    def own(key: str) -> Any:
        return found.get(f"{architecture}.{key}")

    layers, width = _whole(own("block_count")), _whole(own("embedding_length"))
    heads = max(_each(own("attention.head_count"), layers), default=0)
    size = width // heads if heads else 0
    words = found.get("tokenizer.ggml.tokens")
    quant = found.get("general.file_type")
    return Header(
        version=version,
        architecture=architecture,
        kind=_text(found.get("general.type")) or "model",
        name=_text(found.get("general.name")),
        context=_whole(own("context_length")),
        layers=layers,
        width=width,
        feed_forward=max(_each(own("feed_forward_length"), layers), default=0),
        heads=heads,
        # Where it is not said every head has keys and values of its own (llama-model.cpp).
        kv_heads=_each(own("attention.head_count_kv"), layers) or (heads,) * min(layers, 1024),
        key_size=_whole(own("attention.key_length")) or size,
        value_size=_whole(own("attention.value_length")) or size,
        vocabulary=_whole(own("vocab_size")) or (words.length if isinstance(words, _Long) else 0),
        tokenizer=_text(found.get("tokenizer.ggml.model")),
        quantisation=_QUANTS.get(quant, "") if isinstance(quant, int) else "",
        has_template=bool(found.get("tokenizer.chat_template")),
        parts=max(1, _whole(found.get("split.count"))),
        tensors=tensors,
        end=end,
    )


class _Long(msgspec.Struct, frozen=True):
    """A value too long to keep."""

    length: int
    """Elements of the list, bytes of the string."""


class _Source:
    """A file read from front to end, and no further than a header goes."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self.at = 0
        """Bytes read."""

    def broken(self, reason: str) -> Rejected:
        """Return the error for a file that is not what it should be."""
        return Rejected(f"read {self._name}", reason, _ANEW)

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        if self.at + size > _LONGEST_HEADER:
            raise self.broken("its header does not end")
        data = self._file.read(size)
        if len(data) != size:
            reason = f"it ends after {self.at + len(data)} bytes, in its header"
            raise EndsEarly(f"read {self._name}", reason, _ANEW)
        self.at += size
        return data

    def number(self, form: str) -> Any:
        """Return the next number of a `struct` form."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def count(self, form: str, most: int, what: str) -> int:
        """Return the next number, of things that are to follow."""
        number: int = self.number(form)
        if number > most:
            raise self.broken(f"{number} {what}, more than any model has")
        return number

    def string(self) -> str:
        """Return the next string, a short one."""
        return self.take(self.count("Q", _LONGEST_KEPT, "letters")).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        """Return the next value; `_Long` for one that is too long to keep."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            length: int = self.number("Q")
            if length <= _LONGEST_KEPT:
                return self.take(length).decode("utf-8", "replace")
            self.skip(length)
            return _Long(length)
        if kind != _LIST or depth >= _DEEPEST:
            raise self.broken(f"a value of an unknown kind ({kind})")
        of, length = self.number("I"), self.number("Q")
        if of in _SCALARS:
            form = f"{min(length, _LONGEST_LIST)}{_SCALARS[of]}"
            if length <= _LONGEST_LIST:
                return list(struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}"))))
            self.skip(length * struct.calcsize(f"<{_SCALARS[of]}"))
        elif of == _STRING:
            for _ in range(self._bounded(length, 8)):
                self.skip(self.number("Q"))
        else:
            for _ in range(self._bounded(length, 12)):
                self.value(of, depth + 1)
        return _Long(length)

    def skip(self, size: int) -> None:
        """Pass over bytes."""
        while size > 0:
            self.take(piece := min(size, 1 << 20))
            size -= piece

    def _bounded(self, length: int, least: int) -> int:
        """Return a number of elements that take so many bytes each at least."""
        if length * least > _LONGEST_HEADER:
            raise self.broken("its header does not end")
        return length


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0


def _each(value: Any, layers: int) -> tuple[int, ...]:
    """Return a number by layer, from one that is for all or a list."""
    if isinstance(value, list):
        return tuple(map(_whole, value))
    return (_whole(value),) * min(layers, _LONGEST_LIST) if _whole(value) else ()
