"""Who is next, and who has to make room (pure).

Times are seconds of a clock that does not step back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import get_args

from schemas.faults import Priority

PRIORITIES: tuple[str, ...] = (*get_args(Priority), "background")
"""As they stand in the status; the most urgent first."""
_CRITICAL, _WARNING, _ADVICE, _BACKGROUND = range(4)


@dataclass(slots=True, eq=False)
class Place:
    """A request's place, from its arrival to its answer."""

    id: str
    """What it is called."""
    rank: int
    """What it was asked with: place in `PRIORITIES`."""
    arrived: float
    """When it came; kept by one that has to begin again."""
    number: int
    """Order of arrival."""
    slot: int | None = None
    """The server's slot it is written in; None while it waits."""
    begun: float = 0.0
    """When it got the slot."""
    counts: int = 0
    """The rank it got the slot with."""
    leaving: bool = False
    """Whether it has been told to leave the slot."""

    @property
    def priority(self) -> str:
        """Name of its rank."""
        return PRIORITIES[self.rank]

    @property
    def background(self) -> bool:
        """Whether nobody waits for it."""
        return self.rank == _BACKGROUND


class Turns:
    """The requests that wait and those that are written.

    The most urgent are first, those that came first among equals. One that waited for `ageing_s`
    rises a rank, but none to critical: what only waited long never stands before what may hurt
    somebody. Background requests do not rise, and run only while there is no other.
    """

    def __init__(self, slots: int, *, ageing_s: float, cut_off: bool) -> None:
        """Begin with every slot free.

        Args:
            slots: requests written at the same time.
            ageing_s: waiting time after which one rises a rank.
            cut_off: whether a critical request may take the slot of an advice.
        """
        self.slots = slots
        self._ageing_s = ageing_s
        self._cut_off = cut_off
        self._numbers = 0
        self.waiting: list[Place] = []
        """In no order."""
        self.written: list[Place] = []
        """In order of their beginning."""

    def enter(self, name: str, priority: Priority, now: float, *, background: bool) -> Place:
        """Return a place for a request that comes; it does not wait yet."""
        self._numbers += 1
        rank = _BACKGROUND if background else PRIORITIES.index(priority)
        return Place(name, rank, now, self._numbers)

    def order(self, now: float) -> list[Place]:
        """Return those that wait, the next one first."""
        return sorted(self.waiting, key=lambda place: (self._rank(place, now), place.number))

    def free(self) -> list[int]:
        """Return the numbers of the free slots; one being left is not free yet."""
        taken = {place.slot for place in self.written}
        return [number for number in range(self.slots) if number not in taken]

    def next(self, now: float) -> Place | None:
        """Return who may begin now; None where nobody waits, or all slots are taken."""
        if not self.waiting or len(self.written) >= self.slots or not self.free():
            return None
        first = min(self.waiting, key=lambda place: (self._rank(place, now), place.number))
        alone = all(place.background for place in self.written)
        return first if alone or not first.background else None

    def begin(self, place: Place, slot: int, now: float) -> None:
        """Give a waiting one a slot."""
        self.waiting.remove(place)
        self.written.append(place)
        place.slot, place.begun, place.leaving = slot, now, False
        place.counts = self._rank(place, now)

    def end(self, place: Place) -> None:
        """Take one out, wherever it is."""
        for held in (self.waiting, self.written):
            if place in held:
                held.remove(place)
        place.slot = None

    def cut(self) -> list[Place]:
        """Return who has to leave its slot for those that wait.

        All background requests make room for any other. For critical ones it is an advice, the
        latest begun, and only where `cut_off` says so.
        """
        out: list[Place] = []
        if not all(place.background for place in (*self.waiting, *self.written)):
            out += [p for p in self.written if p.background and not p.leaving]
        if self._cut_off:
            leaving = len(out) + sum(place.leaving for place in self.written)
            wanted = sum(place.rank == _CRITICAL for place in self.waiting)
            wanted -= len(self.free()) + leaving
            advice = [p for p in self.written if p.counts == p.rank == _ADVICE and not p.leaving]
            out += advice[::-1][: max(wanted, 0)]
        return out

    def urge(self, place: Place, priority: Priority) -> None:
        """Give one another priority, wherever it is; among equals it keeps its place."""
        place.rank = PRIORITIES.index(priority)
        place.counts = min(place.counts, place.rank)

    def least(self, now: float) -> Place | None:
        """Return the last of those that wait."""
        return self.order(now)[-1] if self.waiting else None

    def before(self, place: Place, other: Place, now: float) -> bool:
        """Return whether one is more urgent than the other; equals are not."""
        return self._rank(place, now) < self._rank(other, now)

    def depth(self) -> dict[str, int]:
        """Return how many wait, by priority."""
        count = Counter(place.priority for place in self.waiting)
        return {priority: count[priority] for priority in PRIORITIES}

    def _rank(self, place: Place, now: float) -> int:
        if place.rank in (_CRITICAL, _BACKGROUND):
            return place.rank
        risen = int(max(now - place.arrived, 0.0) / self._ageing_s)
        return max(place.rank - risen, _WARNING)
