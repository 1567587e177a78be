"""Which texts are embedded together (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

GROUP = 32
"""Texts of a group: embedded and kept as one, some tenths of a second on two cores."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text to embed, and the passages that say it."""

    text: str
    """What the model reads."""
    labels: tuple[int, ...]
    """Numbers of the passages."""

    @property
    def digest(self) -> int:
        """Name the text in 64 bits."""
        return digest(self.text)


def digest(text: str) -> int:
    """Return 64 bits, signed, that two of a million texts share once in 40 million corpora."""
    made = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(made, "big", signed=True)


def distinct(passages: Iterable[tuple[int, str]]) -> list[Text]:
    """Return each text once, in the order of its first passage.

    Args:
        passages: number and text of each.
    """
    found: dict[str, list[int]] = {}
    for label, text in passages:
        found.setdefault(text, []).append(label)
    return [Text(text, tuple(labels)) for text, labels in found.items()]


def groups(texts: Iterable[Text], size: int = GROUP) -> list[list[Text]]:
    """Return groups of up to `size` texts of like length, short ones first.

    A batch is as wide as its longest text, so what stands beside it should be as long. Bytes of
    UTF-8 tell the length whatever the model: three are about a token in Chinese, four in English.
    """
    ordered = sorted(texts, key=lambda one: len(one.text.encode("utf-8", "surrogatepass")))
    return [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]
