"""Which slot of the server a request goes to, so that it finds its prompt's beginning there (pure).

A slot of llama-server keeps the last prompt it read; a new one that begins alike is read from the
first difference on only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Slot:
    """What a slot holds."""

    text: str = ""
    """The last prompt."""
    lasting: int = 0
    """How much of it never changes, characters."""
    used: int = 0
    """When it was used last, counted in requests."""
    busy: bool = False


class SlotBook:
    """Remembers what each slot read last."""

    def __init__(self, slots: int) -> None:
        self._slots = [_Slot() for _ in range(slots)]
        self._clock = 0

    @property
    def free(self) -> list[int]:
        """Slots that nobody holds."""
        return [number for number, slot in enumerate(self._slots) if not slot.busy]

    @contextmanager
    def hold(self, text: str, lasting: int, slot: int | None = None) -> Iterator[int | None]:
        """Hold a slot for the block; None when all are held.

        Args:
            text: the prompt, its unchanging part first.
            lasting: length of that part, characters.
            slot: the one to take, where that was decided already.
        """
        if slot is None and (free := self.free):
            slot = self.choose(text, free)
        if slot is None or slot >= len(self._slots):
            yield slot
            return
        held = self._slots[slot]
        self._clock += 1
        held.text, held.lasting, held.used, held.busy = text, lasting, self._clock, True
        try:
            yield slot
        finally:
            held.busy = False

    def choose(self, text: str, free: Collection[int]) -> int:
        """Return the free slot to use for a prompt.

        It is the one whose last prompt shares the longest beginning, less what is lost there: an
        unchanging part that no other slot has. Without the latter two flows would chase each other
        through one slot, since all prompts begin alike for some words, while others stand empty.
        Among equals it is the one that was not used for longest.
        """
        return max(
            sorted(free), key=lambda number: (self._worth(number, text), -self._slots[number].used)
        )

    def _worth(self, number: int, text: str) -> int:
        slot = self._slots[number]
        gain = shared(slot.text, text)
        lasting = slot.text[: slot.lasting]
        others = (other.text for at, other in enumerate(self._slots) if at != number)
        stays = max(shared(lasting, other) for other in (text, *others))
        return gain - (len(lasting) - stays)


class PrefixReuse:
    """How much of what never changes the server did not have to read again."""

    def __init__(self) -> None:
        self._read: set[int] = set()  # hashes
        self._lasting = 0
        self._reused = 0

    def knows(self, lasting: str) -> bool:
        """Return whether a prompt with this unchanging part was read before."""
        return hash(lasting) in self._read

    def add(self, lasting: str, tokens: int, cached: int, *, later: bool) -> None:
        """Count a prompt that was read.

        Args:
            lasting: its unchanging part.
            tokens: length of that part.
            cached: tokens of the prompt that the server reused.
            later: whether `knows` was true when it began; else nothing could be reused, and it
                is not counted.
        """
        if later:
            self._lasting += tokens
            self._reused += min(tokens, cached)
        self._read.add(hash(lasting))

    @property
    def share(self) -> float | None:
        """Share of the unchanging tokens that were reused, 0 to 1; None before there were any."""
        return self._reused / self._lasting if self._lasting else None


def shared(one: str, other: str) -> int:
    """Return how many characters two texts share at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
