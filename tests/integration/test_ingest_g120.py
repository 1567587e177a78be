"""The longest real manual: each fault of the answer key is one entry on its page."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest

from schemas.retrieval import Passage
from services.ingest import frames, sandbox
from tests.support.ingest import TOKENIZER
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.integration

GOAL = 0.99


def tight(text: str) -> str:
    """Text without white space and hyphens: pdftotext's lines keep those of their ends."""
    return re.sub(r"[\s\-]+", "", text).casefold()


def holds(passage: Passage, gold: dict[str, str]) -> bool:
    """Whether title, first line of the cause and first line of the remedy are in a passage."""
    text = tight(passage.text)
    return all(tight(gold[part])[:60] in text for part in ("title", "cause", "remedy"))


async def test_fault_entries_are_whole() -> None:
    data = needed_data()
    golds = json.loads((data / "gold" / "g120_dev.json").read_text(encoding="utf-8"))
    path = data / "manuals" / "SINAMICS_G120_CU240BE2_List_Manual.pdf"
    found: list[Passage] = []
    done = await sandbox.read(
        frames.Job(path=str(path), name=path.name, tokenizer=TOKENIZER),
        sandbox.Limits(),
        progress=lambda _done, _total: None,
        batch=found.extend,
    )
    entries: dict[str, list[Passage]] = defaultdict(list)
    for passage in found:
        if passage.kind == "entry":
            entries[passage.fields[0].value].append(passage)
    wrong = [
        gold["code"]
        for gold in golds
        if [p.page for p in entries[gold["code"]]] != [gold["page"]]
        or not holds(entries[gold["code"]][0], gold)
    ]
    assert len(golds) > 150
    assert len(wrong) <= (1 - GOAL) * len(golds), wrong
    assert done.pages == 820
    # The printed numbers stand in the running feet.
    assert {p.page_label for p in found if p.page == 706} == {"3-706"}
