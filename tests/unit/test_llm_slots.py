from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm_bridge.slots import PrefixReuse, SlotBook, shared

pytestmark = pytest.mark.unit

FAULT = "You help fitters. A fault struck. " * 9
ASK = "You help fitters. Somebody asks. " * 9


def ask(book: SlotBook, lasting: str, rest: str) -> int | None:
    with book.hold(lasting + rest, len(lasting)) as slot:
        return slot


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_what_two_texts_share(one: str, other: str) -> None:
    length = shared(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(
        other
    )


def test_one_flow_stays_in_its_slot() -> None:
    book = SlotBook(4)
    assert {ask(book, FAULT, f"E{n}") for n in range(9)} == {0}


def test_flows_do_not_drive_each_other_out_while_slots_are_empty() -> None:
    book = SlotBook(3)
    seen = [ask(book, (FAULT, ASK)[n % 2], f"E{n}") for n in range(8)]
    assert seen == [0, 1] * 4


def test_the_same_question_again_finds_its_own_slot() -> None:
    book = SlotBook(2)
    with (
        book.hold(f"{FAULT}E1 mains low", len(FAULT)) as first,
        book.hold(f"{FAULT}E2", 9) as second,
    ):
        assert (first, second) == (0, 1)
    assert ask(book, FAULT, "E2") == 1
    assert ask(book, FAULT, "E1 mains low") == 0


def test_a_new_flow_takes_a_slot_whose_flow_has_another() -> None:
    book = SlotBook(3)
    with book.hold(f"{FAULT}1", len(FAULT)), book.hold(f"{FAULT}2", len(FAULT)):
        assert ask(book, ASK, "1") == 2
    assert ask(book, "Something new. " * 9, "1") == 0
    assert ask(book, ASK, "2") == 2
    assert ask(book, FAULT, "3") == 1


def test_the_longest_unused_goes_among_equals() -> None:
    book = SlotBook(2)
    for slot, lasting in enumerate(("aaaa", "bbbb")):
        assert ask(book, lasting, "") == slot
    assert ask(book, "cccc", "") == 0
    assert ask(book, "dddd", "") == 1


def test_a_slot_that_is_held_is_nobody_elses() -> None:
    book = SlotBook(2)
    with book.hold(FAULT, 9) as first, book.hold(FAULT, 9) as second, book.hold(FAULT, 9) as third:
        assert (first, second, third) == (0, 1, None)
        assert book.free == []
    assert book.free == [0, 1]


def test_a_slot_decided_elsewhere_is_taken() -> None:
    book = SlotBook(2)
    with book.hold(FAULT, 9, 1) as slot:
        assert (slot, book.free) == (1, [0])
    assert ask(book, FAULT, "x") == 1
    with book.hold(FAULT, 9, 7) as unknown:  # the server was told to have fewer
        assert unknown == 7
    with SlotBook(0).hold(FAULT, 9) as none:
        assert none is None


PROMPTS = st.tuples(st.sampled_from([FAULT, ASK, "x", ""]), st.text("ab", max_size=3))


@given(st.integers(1, 4), st.lists(PROMPTS, max_size=12), PROMPTS, st.data())
def test_the_best_of_the_free_ones_is_chosen(
    slots: int, before: list[tuple[str, str]], now: tuple[str, str], data: st.DataObject
) -> None:
    book = SlotBook(slots)
    texts = [""] * slots
    for lasting, rest in before:
        with book.hold(lasting + rest, len(lasting)) as slot:
            assert slot is not None
            texts[slot] = lasting + rest
    free = data.draw(st.sets(st.integers(0, slots - 1), min_size=1))
    chosen = book.choose("".join(now), free)
    assert chosen in free
    # No free slot knows more of it, unless something else's lasting part would be lost there.
    most = max(shared(texts[slot], "".join(now)) for slot in free)
    if most >= len(now[0]) > 20:
        assert shared(texts[chosen], "".join(now)) == most


def test_reuse_counts_from_the_second_on() -> None:
    reuse = PrefixReuse()
    assert not reuse.knows("a")
    reuse.add("a", 100, 0, later=False)
    reuse.add("b", 100, 3, later=False)
    assert reuse.share is None
    assert reuse.knows("a")
    reuse.add("a", 100, 150, later=True)
    reuse.add("a", 100, 50, later=True)
    assert reuse.share == 0.75
