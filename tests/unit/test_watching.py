"""The inbox over time, with a clock of our own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.runtime.watching import PATIENCE, Effects, Look, Watch

pytestmark = pytest.mark.unit

SETTLE, GRACE = 2.0, 30.0
NEW = Look(10, 0)
LATER = 10**18
"""A time of day long after any file was written."""


def watch(**known: Look) -> Watch:
    return Watch(known, settle_s=SETTLE, grace_s=GRACE)


def test_a_file_that_is_being_written_is_waited_for() -> None:
    w = watch()
    for second in range(5):  # it grows, and its time is now
        look = Look(second + 1, second * 10**9)
        assert w.look({"a": look}, second, second * 10**9) == Effects()
    assert w.unsettled
    assert w.look({"a": look}, 5.9, 6 * 10**9) == Effects()
    assert w.look({"a": look}, 6.0, 6 * 10**9).take == ("a",)
    assert w.look({"a": look}, 6.5, 6 * 10**9).take == ("a",), "until it is taken"
    w.taken("a", look)
    assert w.look({"a": look}, 7, 7 * 10**9) == Effects()
    assert not w.unsettled


def test_a_file_moved_in_whole_may_be_taken_at_once() -> None:
    w = watch()
    assert w.look({"a": NEW}, 0, LATER) == Effects(hasty=("a",))
    w.later("a", 0)  # somebody writes it all the same
    assert w.look({"a": NEW}, 1, LATER) == Effects()
    assert w.look({"a": NEW}, 2, LATER).take == ("a",)


def test_an_empty_file_is_waited_for_longer() -> None:
    w = watch()
    empty = Look(0, 0)
    assert w.look({"a": empty}, 0, LATER) == Effects()
    assert w.look({"a": empty}, GRACE - 1, LATER) == Effects()
    assert w.look({"a": empty}, GRACE, LATER).take == ("a",)


def test_what_is_known_is_left_alone_until_it_changes() -> None:
    w = watch(a=NEW)
    assert w.look({"a": NEW}, 0, LATER) == Effects()
    changed = Look(11, LATER)
    assert w.look({"a": changed}, 1, LATER) == Effects()
    assert w.look({"a": changed}, 3, LATER).take == ("a",)
    assert w.look({"a": NEW}, 4, LATER) == Effects(), "it is as it was"
    assert not w.unsettled


def test_a_file_is_deleted_when_it_stays_away() -> None:
    w = watch(a=NEW, b=NEW)
    assert w.look({"b": NEW}, 0, LATER) == Effects()
    assert list(w.missing) == ["a"]
    assert w.look({"b": NEW}, GRACE - 1, LATER) == Effects()
    assert w.look({"a": NEW, "b": NEW}, GRACE, LATER) == Effects(), "it is back"
    assert w.look({"b": NEW}, GRACE + 1, LATER) == Effects()
    assert w.look({"b": NEW}, 2 * GRACE + 1, LATER).gone == ("a",)
    w.forgotten("a")
    assert w.look({"b": NEW}, 3 * GRACE, LATER) == Effects()


def test_while_a_file_is_waited_for_nothing_is_deleted_for_a_while() -> None:
    w = watch(a=NEW)
    w.look({}, 0, LATER)
    for step in range(1, PATIENCE):
        now = step * GRACE
        found = w.look({"b": Look(step, int(now * 1e9))}, now, int(now * 1e9))
        assert found == Effects()
    now = PATIENCE * GRACE
    assert w.look({"b": Look(99, int(now * 1e9))}, now, int(now * 1e9)).gone == ("a",)


def test_what_failed_for_now_is_tried_later() -> None:
    w = watch()
    w.look({"a": NEW}, 0, 0)
    assert w.look({"a": NEW}, 2, 0).take == ("a",)
    w.later("a", 2, 30)
    assert w.look({"a": NEW}, 31, 0) == Effects()
    assert w.look({"a": NEW}, 34, 0).take == ("a",)


@dataclass
class Disk:
    """Files with their content, and whether each is whole."""

    files: dict[str, Look] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)


class InboxMachine(RuleBasedStateMachine):
    """Writers that come and go; the watch takes whole files only, and each of them."""

    names = st.sampled_from(["a", "b", "c/d"])

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.disk = Disk()
        self.taken: dict[str, Look] = {}
        self.watch = watch()

    def clock(self) -> int:
        return int(self.now * 1e9)

    @rule(name=names)
    def write(self, name: str) -> None:
        """A writer that never rests as long as `settle_s` between two writes."""
        size = self.disk.files[name].size + 1 if name in self.disk.open else 1
        self.disk.files[name] = Look(size, self.clock())
        self.disk.open.add(name)

    @rule(name=names)
    def finish(self, name: str) -> None:
        self.disk.open.discard(name)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.disk.files.pop(name, None)
        self.disk.open.discard(name)

    @rule(old=names, new=names)
    def move(self, old: str, new: str) -> None:
        if old in self.disk.files and old not in self.disk.open and new not in self.disk.open:
            self.disk.files[new] = self.disk.files.pop(old)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0]))
    def look(self, seconds: float) -> None:
        self.now += seconds
        for name in self.disk.open:
            self.disk.files[name] = Look(self.disk.files[name].size + 1, self.clock())
        found = self.watch.look(self.disk.files, self.now, self.clock())
        for name in (*found.take, *found.hasty):
            assert name not in self.disk.open
            self.taken[name] = self.disk.files[name]
            self.watch.taken(name, self.disk.files[name])
        for name in found.gone:
            assert name not in self.disk.files
            del self.taken[name]
            self.watch.forgotten(name)

    @rule()
    def rest(self) -> None:
        """All writers done and time passing: then everything is as on the disk."""
        self.disk.open.clear()
        for _ in range(3):
            self.look(2.0)
        self.look(GRACE * PATIENCE)
        self.look(GRACE * PATIENCE)
        assert self.taken == self.disk.files
        assert not self.watch.unsettled

    @invariant()
    def only_what_was_taken_is_known(self) -> None:
        if hasattr(self, "watch"):
            assert set(self.watch.missing) <= set(self.taken)


TestInbox = InboxMachine.TestCase


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("ab"), st.builds(Look, st.integers(0, 2), st.integers(0, 2))
        )
    )
)
def test_a_restart_changes_nothing_about_what_is_known(history: list[dict[str, Look]]) -> None:
    w, known = watch(), {}
    for number, files in enumerate(history):
        found = w.look(files, number * SETTLE, LATER)
        for path in (*found.take, *found.hasty):
            known[path] = files[path]
            w.taken(path, files[path])
        for path in found.gone:
            known.pop(path)
            w.forgotten(path)
    again = Watch(known, settle_s=SETTLE, grace_s=GRACE)
    found = again.look(known, 0, LATER)
    assert found == Effects()
