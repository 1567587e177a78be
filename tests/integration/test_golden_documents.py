"""Real documents, read: what people saw on chosen pages is what comes out.

Each file in golden/ names a document by its content and says of some of its pages what a reader
must make of them, as seen on the page as printed. None quotes more than a phrase.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.retrieval import Passage
from services.ingest import chunking, partition
from services.ingest.partition import document
from services.ingest.partition.effort import Effort
from tests.support.ingest import words
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.integration

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
LONGEST = 60


def tight(text: str) -> str:
    """Text without white space: where a line or a column broke it does not matter."""
    return "".join(text.split())


class Read:
    """A document as read, and what it is asked about."""

    def __init__(self, found: document.Document) -> None:
        self.document = found
        self.passages = list(chunking.passages(found.elements, words, labels=found.labels))

    def meets(self, want: dict[str, Any]) -> bool:
        """Whether one thing that is expected of a page is so."""
        kind = next(key for key in CHECKS if key in want)
        return CHECKS[kind](self, want)

    def on(self, page: int, kind: str = "") -> list[Passage]:
        """The passages of a page."""
        return [p for p in self.passages if p.page == page and kind in ("", p.kind)]

    def elements(self, page: int) -> list[Any]:
        """The elements of a page."""
        return [e for e in self.document.elements if e.metadata.page_number == page]

    def row(self, want: dict[str, Any]) -> bool:
        """Exactly one row has these cells and no other, under this header, in this section."""
        return (
            sum(
                len(passage.fields) == len(want["row"])
                and all(
                    tight(field.value).startswith(tight(cell))
                    for field, cell in zip(passage.fields, want["row"], strict=True)
                )
                and [f.name for f in passage.fields]
                == want.get("header", [f.name for f in passage.fields])
                and _in_section(passage, want)
                and _holds(passage, want)
                for passage in self.on(want["page"], "row")
            )
            == 1
        )

    def entry(self, want: dict[str, Any]) -> bool:
        """Exactly one entry in all has the code, on this page, with these parts."""
        found = [
            p for p in self.passages if p.kind == "entry" and p.fields[0].value == want["entry"]
        ]
        names = [field.name for field in found[0].fields] if found else []
        return (
            [p.page for p in found] == [want["page"]]
            and want.get("names", names) == names
            and _holds(found[0], want)
        )

    def title(self, want: dict[str, Any]) -> bool:
        """A heading has these words and this depth."""
        return any(
            element.category == "Title"
            and element.text == want["title"]
            and element.metadata.category_depth
            == want.get("depth", element.metadata.category_depth)
            for element in self.elements(want["page"])
        )

    def paragraph(self, want: dict[str, Any]) -> bool:
        """One paragraph begins and ends like this."""
        begin, end = map(tight, want["paragraph"])
        return (
            sum(
                tight(e.text).startswith(begin)
                and tight(e.text).endswith(end)
                and e.category == want.get("category", e.category)
                for e in self.elements(want["page"])
            )
            == 1
        )

    def text(self, want: dict[str, Any]) -> bool:
        """A passage of the page has the words, in this section."""
        return any(
            tight(want["text"]) in tight(passage.text) and _in_section(passage, want)
            for passage in self.on(want["page"])
        )

    def order(self, want: dict[str, Any]) -> bool:
        """These words follow one another on the page."""
        text = tight("".join(element.text for element in self.elements(want["page"])))
        place = 0
        for words_ in map(tight, want["order"]):
            place = text.find(words_, place)
            if place < 0:
                return False
        return True

    def absent(self, want: dict[str, Any]) -> bool:
        """No passage of the page has the words."""
        passages = self.on(want["page"])
        return not any(tight(want["absent"]) in tight(passage.text) for passage in passages)

    def label(self, want: dict[str, Any]) -> bool:
        """The page has this printed number."""
        return self.document.labels.get(want["page"]) == want["label"]


CHECKS = {
    name: getattr(Read, name)
    for name in ("row", "entry", "title", "paragraph", "text", "order", "absent", "label")
}


def _in_section(passage: Passage, want: dict[str, Any]) -> bool:
    levels = iter(passage.section.split(" > "))
    return all(
        any(tight(part) in tight(level) for level in levels) for part in want.get("section", [])
    )


def _holds(passage: Passage, want: dict[str, Any]) -> bool:
    return all(tight(phrase) in tight(passage.text) for phrase in want.get("holds", []))


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return [text for item in inner for text in _strings(item)]
    return []


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_document_reads_as_it_is_printed(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    file = needed_data() / "manuals" / golden["document"]
    if not file.is_file():
        pytest.skip(f"{golden['document']} is not among the manuals here")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest == golden["sha256"], "another edition than the one that was looked at"
    patient = Effort(seconds=250.0)  # a page, however busy the machine
    read = Read(partition.read(file, file.name, lambda _done, _total: None, patient))
    assert read.document.pages == golden["pages"]
    assert [want for want in golden["expect"] if not read.meets(want)] == []


def test_golden_files_quote_no_more_than_a_phrase() -> None:
    assert len(GOLDEN) >= 10
    for path in GOLDEN:
        golden = json.loads(path.read_text(encoding="utf-8"))
        assert all(len(text) <= LONGEST for text in _strings(golden["expect"])), path.name
