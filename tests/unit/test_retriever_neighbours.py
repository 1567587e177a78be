"""A passage and those after it that go on with what it says."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import Passage
from services.retriever.neighbours import JOINED, joined, runs_on

pytestmark = pytest.mark.unit

LONG = "The drive is mounted upright with room for its air. " * 3


def text(ordinal: int, words: str, *, section: str = "2 Mounting", page: int = 4) -> Passage:
    return Passage(ordinal=ordinal, page=page, section=section, text=words)


def row(ordinal: int, words: str = "Screw: M6 | Torque: 4 Nm") -> Passage:
    return msgspec.structs.replace(text(ordinal, words), kind="row")


def test_what_breaks_off_goes_on_and_what_ends_does_not() -> None:
    begins = f"{LONG}Tighten the screws with"
    assert runs_on(text(0, begins))
    assert not runs_on(text(0, LONG))
    assert runs_on(text(0, "2.1 Torques"))
    assert not runs_on(row(0))


def test_a_sentence_is_ended_and_no_more_is_joined() -> None:
    first = text(0, f"{LONG}Tighten the screws with")
    found = joined(first, [text(1, "a torque of 4 Nm."), text(2, "Then turn it on.")])
    assert found.text == f"{first.text}\na torque of 4 Nm."
    assert (found.ordinal, found.page, found.section) == (0, 4, "2 Mounting")


def test_a_heading_has_its_table() -> None:
    found = joined(text(0, "2.1 Torques"), [row(1), row(2, "Screw: M8 | Torque: 9 Nm")])
    assert "4 Nm" in found.text
    assert "9 Nm" in found.text


@pytest.mark.parametrize(
    "after",
    [
        text(1, "of another section", section="3 Wiring"),
        text(2, "after a gap"),
        text(1, "two pages on", page=6),
        msgspec.structs.replace(row(1, "E005 another fault"), kind="entry"),
        text(1, "x" * JOINED),
    ],
)
def test_what_does_not_belong_to_it_is_not_joined(after: Passage) -> None:
    first = text(0, f"{LONG}Tighten the screws with")
    assert joined(first, [after]) == first
    # Nor anything behind it.
    assert joined(first, [after, text(after.ordinal + 1, "and on.", page=after.page or 0)]) == first


def test_what_is_said_twice_at_the_seam_is_said_once() -> None:
    seam = "tighten the four screws of the cover with"
    first = text(0, f"{LONG}{seam}")
    found = joined(first, [text(1, f"{seam} a torque of 4 Nm.")])
    assert found.text.count("four screws") == 1
    assert found.text.endswith("a torque of 4 Nm.")
    # A few letters that happen to be the same are no overlap.
    near = joined(text(0, f"{LONG}with a"), [text(1, "a torque.")])
    assert near.text.endswith("with a\na torque.")


def test_a_passage_with_nothing_after_it_stays_as_it_is() -> None:
    alone = text(0, "2.1 Torques  ")
    assert joined(msgspec.structs.replace(alone, text="2.1 Torques"), []).text == "2.1 Torques"


PASSAGES = st.lists(
    st.builds(
        Passage,
        ordinal=st.integers(1, 5),
        page=st.none() | st.integers(1, 6),
        section=st.sampled_from(["", "2 Mounting", "3 Wiring"]),
        kind=st.sampled_from(["text", "row", "entry"]),
        text=st.text("ab. ", max_size=700),
    ),
    max_size=5,
)


@given(st.text("ab. ", max_size=900), PASSAGES)
def test_a_joined_passage_begins_as_it_did_and_has_nothing_of_others(
    words: str, after: list[Passage]
) -> None:
    first = text(0, words)
    found = joined(first, after)
    assert found.text.startswith(words.rstrip())
    assert len(found.text) <= max(len(words), JOINED)
    assert msgspec.structs.replace(found, text="") == msgspec.structs.replace(first, text="")
    own = [p for p in after if p.section == first.section and p.kind != "entry"]
    room = len(words) + sum(len(p.text) + 1 for p in own)
    assert len(found.text) <= room
    if not any(p.ordinal == 1 for p in after[:1]):
        assert found.text in (words, words.rstrip())
