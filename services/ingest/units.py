"""Blocks of a document, and the entries found among them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Block:
    """A piece of a document as this module sees it."""

    text: str
    title: bool
    """Whether it is a heading."""
    depth: int = 0
    """Depth of a heading."""
    table: bool = False
    """Whether it is a table: its rows are passages of their own as well."""


@dataclass(slots=True)
class Part:
    """What an entry says under one name."""

    name: str
    """As printed."""
    texts: list[tuple[int, str]]
    """The index of the block each piece of text is from, and the text."""

    @property
    def text(self) -> str:
        """Return the text."""
        return "\n".join(text for _, text in self.texts if text).strip()


@dataclass(slots=True)
class Entry:
    """One fault or parameter with its parts."""

    start: int
    """Index of the block that is its heading."""
    end: int
    """Index after its last block."""
    heads: list[tuple[str, str]]
    """Code and Title of a fault, Code and Name of a parameter, or the symptom."""
    printed: str = ""
    """Code and title with what is printed between them; empty for a symptom."""
    parts: list[Part] = field(default_factory=list)
    """Under the names they are printed with."""
    tables: list[int] = field(default_factory=list)
    """Indexes of tables that stand within it."""

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Return the names and texts of all that it says."""
        return self.heads + [(part.name, part.text) for part in self.parts]

    @property
    def text(self) -> str:
        """Return the entry as a person reads it."""
        rest = self.fields[len(self.heads) if self.printed else 0 :]
        return "\n".join(filter(None, [self.printed, *map(_shown, rest)]))

    @property
    def parameter(self) -> bool:
        """Return whether it is a parameter."""
        return self.heads[-1][0] == "Name"


def _shown(part: tuple[str, str]) -> str:
    name, text = part
    return f"{name}: {text}" if name else text
