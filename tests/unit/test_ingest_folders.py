"""What folders say about the files in them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.folders import FolderNote, ignored, labels_for, read_note
from services.ingest.labels import Labels, changed, labels_of, overlaid
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit


def note(text: str) -> FolderNote:
    return read_note(text)


def test_the_first_folder_is_the_collection_and_the_others_are_tags() -> None:
    assert labels_for("m.pdf", {}) == Labels()
    assert labels_for("drives/m.pdf", {}) == Labels(collection="drives")
    assert labels_for("Drives/Line 2/Spare/m.pdf", {}) == Labels(
        collection="Drives", tags=["line 2", "spare"]
    )


def test_notes_speak_of_what_is_below_and_the_nearest_one_last() -> None:
    notes = {
        "": note("lang: en\ntags: [plant 3]"),
        "drives": note("assets: [plant/+]\nkind: Manual\nmodel: G120\ncollection: Antriebe"),
        "drives/spare": note("assets: [plant/m7]\nfiles: {m.pdf: {title: The manual, tags: [x]}}"),
        "pumps": note("model: P7"),
    }
    assert labels_for("drives/spare/m.pdf", notes) == Labels(
        title="The manual",
        assets=["plant/m7"],
        lang="en",
        kind="manual",
        model="G120",
        collection="Antriebe",
        tags=["spare", "plant 3", "x"],
    )
    assert labels_for("drives/m.pdf", notes).title == ""
    assert labels_for("drives/n.pdf", notes).assets == ["plant/+"]
    assert labels_for("m.pdf", notes) == Labels(lang="en", tags=["plant 3"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("asset: plant/m7", "asset"),
        ("assets: plant/m7", r"Expected `array`, got `str` - at `\$.assets`"),
        ("assets: ['a/#/b']", "is not a topic filter"),
        ("kind: [", "flow"),
        ("- a", "Expected `object`"),
        ("files: {m.pdf: {tilte: x}}", "tilte"),
        (f"kind: {'x' * 300}", "300 characters"),
        ("x" * 70_000, "longer than 64 KiB"),
    ],
)
def test_a_wrong_note_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read_note(text)


@given(st.text())
def test_any_text_is_a_note_or_refused(text: str) -> None:
    with contextlib.suppress(Rejected):
        labels_for("a/b.pdf", {"a": read_note(text)})


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_note_says_nothing(text: str) -> None:
    assert labels_for("m.pdf", {"": read_note(text)}) == Labels()


@pytest.mark.parametrize(
    "name",
    [
        ".hidden", "~$manual.docx", "m.pdf.part", "m.PDF.crdownload", "m.tmp", "Thumbs.db",
        ".DS_Store", "andon.yaml", "m.docx~", ".~lock.m.odt#", "Desktop.ini",
    ],
)  # fmt: skip
def test_what_is_unfinished_or_somebody_elses_is_left_alone(name: str) -> None:
    assert ignored(name)


@pytest.mark.parametrize("name", ["m.pdf", "手册.docx", "part.pdf", "a~b.txt", "_unreadable"])
def test_documents_are_not_ignored(name: str) -> None:
    assert not ignored(name)


@pytest.mark.parametrize("said", [Labels(tags=["x" * 201]), Labels(title="a\x00b")])
def test_words_that_cannot_be_are_refused(said: Labels) -> None:
    with pytest.raises(Rejected):
        labels_of(said)


WORD = st.text(st.characters(categories=["L", "N", "Zs"]), max_size=8)
LABELS = st.builds(
    Labels, title=WORD, kind=WORD, model=WORD, collection=WORD, tags=st.lists(WORD, max_size=3)
)


@given(LABELS)
def test_labels_are_in_their_final_form_at_once(said: Any) -> None:
    once = labels_of(said)
    assert labels_of(once) == once


@given(LABELS, LABELS)
def test_changes_lead_from_the_old_to_the_new(old: Labels, new: Labels) -> None:
    for name, value in changed(old, new).items():
        assert getattr(new, name) == value != getattr(old, name)
    both = overlaid(old, new)
    assert both.kind == (new.kind or old.kind)
    assert set(both.tags) == {*old.tags, *new.tags}


@pytest.mark.parametrize(
    "text",
    [
        "tags: &a [x, x]\nfiles:\n  m.pdf: {tags: *a}\n",
        "files:\n  a: &a {kind: x}\n  b: {<<: *a}\n",
        "\n".join(
            ["a0: &a0 {x: 1}"]
            + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
        ),
    ],
)
def test_a_note_has_no_aliases(text: str) -> None:
    with pytest.raises(Rejected, match=r"an alias \(\*\) is not allowed"):
        read_note(text)


def test_the_name_of_any_folder_can_be_said() -> None:
    said = labels_for(f"{'x' * 255}/{'İ' * 127}/a\tb\x07/m.pdf", {})
    assert (len(said.collection), len(said.tags[0]), said.tags[1]) == (200, 200, "ab")


@given(st.lists(st.text(min_size=1, max_size=255), min_size=1, max_size=16))
def test_labels_of_any_path_can_be(parts: list[str]) -> None:
    labels_for("/".join([*parts, "m.pdf"]), {})
