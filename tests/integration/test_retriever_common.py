"""A corpus where most passages say the same: what is quoted is found, the rest is not hidden."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from schemas.retrieval import DocumentRef, Field, Passage
from services.runtime.config import Embedding
from tests.support.retriever import retriever
from tests.support.texts import ENGLISH

pytestmark = pytest.mark.integration

GLAND = "The gland of pump P9 is violet."
MANY = 400
QUOTE = "the hood of the press is closed after the shift and opened before it"
"""Each of its words is common, its order is not; it stands in a long passage."""


def ref(doc_id: str) -> DocumentRef:
    return DocumentRef(doc_id=doc_id, revision=1, title=doc_id, file=f"{doc_id}.txt")


def crowd() -> list[Passage]:
    words = ("hood", "press", "closed", "shift", "opened", "before", "after")
    some = [f"{a} {b} {n % 10}" for n in range(20) for a in words for b in words]
    return [Passage(ordinal=n, text=text) for n, text in enumerate(some)]


async def test_equal_passages_are_found_and_hide_no_others(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        # First, so that a search of the index begins among them.
        await asker.add(ref("same"), [Passage(ordinal=n, text=GLAND) for n in range(MANY)])
        manual = [Passage(ordinal=n, text=text) for n, text in enumerate(ENGLISH)]
        await asker.add(ref("manual"), manual)
        for question in ("gland of pump P9", GLAND, "the pump", "violet gland"):
            found = await asker.search(question)
            assert found.hits[0].passage.text == GLAND, question
        for text in ENGLISH[:20]:
            assert (await asker.search(text)).hits[0].passage.text.startswith(text)
    # What is found by its meaning alone is too little to be sure of; here it is how it is found.
    async with retriever(tmp_path, sure=0.0) as asker:
        by_meaning = await asker.search("inverter overheats", limit=1)
        assert by_meaning.hits[0].by == "vector"
        assert by_meaning.hits[0].document.doc_id == "manual"


async def test_a_quote_of_common_words_is_found_without_vectors(tmp_path: Path) -> None:
    long = " ".join((*ENGLISH[:30], QUOTE, *ENGLISH[30:]))
    fields = [Field("Note", "a 1000 e 2000 f 3000")]
    row = Passage(ordinal=1, kind="row", text="at a 1000 f 3000 p 44", fields=fields)
    async with retriever(tmp_path) as made:
        await made.add(ref("crowd"), crowd())
        await made.add(ref("long"), [Passage(ordinal=0, text=long), row])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: every connection is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with retriever(tmp_path, Embedding(backend="llama-server", url=url)) as made:
            found = await made.search(QUOTE)
            assert found.hits[0].document.doc_id == "long"
            assert found.hits[0].score == 1.0
            assert (await made.search(row.text)).hits[0].passage == row


async def test_of_equal_rows_the_asked_language_comes_first(tmp_path: Path) -> None:
    def row(ordinal: int, name: str, lang: str) -> Passage:
        fields = [Field("Code", "E005"), Field("Name", name)]
        return Passage(
            ordinal=ordinal, kind="row", text=f"Code: E005 | Name: {name}", fields=fields, lang=lang
        )

    async with retriever(tmp_path) as made:
        await made.add(ref("both"), [row(0, "DC bus undervoltage", "en"), row(1, "欠压", "zh")])
        for lang, first in (("en", 0), ("zh", 1)):
            found = await made.search("E005", lang=lang)
            assert found.hits[0].passage.ordinal == first
