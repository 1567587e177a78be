"""What the commands about documents print."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.knowledge import DocumentList, DocumentState, Revision
from services import cli, shelf

pytestmark = pytest.mark.unit


def state(doc_id: str, **changes: Any) -> DocumentState:
    known: dict[str, Any] = {
        "doc_id": doc_id, "title": doc_id, "file": f"{doc_id}.pdf", "state": "ready",
        "revision": 1, "updated": "",
    }  # fmt: skip
    return DocumentState(**(known | changes))


class Library:
    """The library's side of the client."""

    def __init__(self, *states: DocumentState) -> None:
        self.states = states

    async def documents(self) -> AsyncIterator[DocumentState]:
        """Each document."""
        for one in self.states:
            yield one

    async def revisions(self, doc_id: str) -> DocumentList:
        """A document of 700 passages in its first revision."""
        first = Revision(revision=1, state="ready", passages=700, size=1, updated="", original=True)
        second = Revision(
            revision=2, state="reading", passages=5, size=1, updated="", original=True
        )
        return DocumentList(
            documents=[one for one in self.states if one.doc_id == doc_id],
            revisions=[second, first],
        )


async def listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *states: DocumentState
) -> list[str]:
    """The lines of `andon documents`."""
    works: list[Any] = []
    monkeypatch.setattr(shelf, "talk", lambda _options, work: works.append(work) or 0)
    shelf.documents(
        SimpleNamespace(  # type: ignore[arg-type]
            document="", json=False, asset="", collection="", kind="", tag=[], state=None
        )
    )
    await works[0](Library(*states), None)
    return capsys.readouterr().out.splitlines()


async def test_what_answers_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await listed(
        monkeypatch,
        capsys,
        state("a", passages=49, answers=1, searchable=True),
        state("b", passages=5445, state="indexing", searchable=True),
        state("c", passages=5, state="reading", revision=2, answers=1),
        state("d", passages=9, state="reading"),
        state("e", state="failed"),
    )
    assert lines[-1] == f"5 documents, {49 + 5445 + 700} passages"


async def test_a_blank_parts_state_and_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await listed(
        monkeypatch, capsys, state("SCAN", state="needs-ocr", reason="no tesseract"), state("b")
    )
    assert lines[0].startswith("needs-ocr SCAN.pdf: no tesseract")
    assert lines[1].startswith("ready     b.pdf: ")


def test_help_names_all_that_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["add", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for name in ("PDF", "Word", "Excel", "PowerPoint", "OpenDocument", "EPUB", "e-mail", "CSV"):
        assert name in told
