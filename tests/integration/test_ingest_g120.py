"""The longest real manual: each fault is one entry on its page, and answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from schemas.retrieval import DocumentRef, Hit, Passage
from services.ingest import frames, sandbox
from services.ingest.readers import Readers
from services.orchestrator.extract import extract
from tests.support.ingest import TOKENIZER
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.integration

WHOLE = 0.99
"""Share of the codes that must be one unit on the right page, with title, cause and remedy."""
EXTRACTED = 0.97
"""Share of the codes whose causes and actions must contain the gold ones."""
PARAMETERS = 1595
"""Of the 1602 headings of the manual's list, p and r, those of variants counted each."""
CODES = 371
"""Headings of the manual's list, F, A and C, counted in the text of its pages 703 to 820."""


def tight(text: str) -> str:
    """Text without white space and hyphens: pdftotext's lines keep those of their ends."""
    return re.sub(r"[\s\-]+", "", text).casefold()


def holds(passage: Passage, gold: dict[str, Any]) -> bool:
    """Whether title, first line of the cause and first line of the remedy are in a passage."""
    text = tight(passage.text)
    return all(tight(gold[part])[:60] in text for part in ("title", "cause", "remedy"))


def extracted(passage: Passage, gold: dict[str, Any]) -> bool:
    """Whether the answer made of a passage alone has gold cause and remedy, each in its place."""
    reference = DocumentRef(doc_id="g120", revision=1, title="G120", file="g120.pdf", lang="en")
    hit = Hit(document=reference, passage=passage, score=1.0, by="code")
    code = gold["code"]
    answer = extract([hit], question=code, code=code, lang="en")
    causes, actions = (tight(" ".join(items)) for items in (answer.causes, answer.actions))
    return tight(gold["cause"])[:60] in causes and tight(gold["remedy"])[:60] in actions


@pytest.fixture(scope="module")
def golds() -> list[dict[str, Any]]:
    path = needed_data() / "gold" / "g120_dev.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    assert len(found) > 150
    return found


@pytest.fixture(scope="module")
def read() -> tuple[frames.Done, list[Passage]]:
    path = needed_data() / "manuals" / "SINAMICS_G120_CU240BE2_List_Manual.pdf"
    return asyncio.run(passages_of(path))


async def passages_of(path: Path) -> tuple[frames.Done, list[Passage]]:
    found: list[Passage] = []
    async with Readers() as readers:
        done = await sandbox.read(
            readers,
            frames.Job(path=str(path), name=path.name, tokenizer=TOKENIZER),
            sandbox.Limits(),
            progress=lambda _done, _total: None,
            batch=found.extend,
        )
    return done, found


def entries(found: list[Passage]) -> dict[str, list[Passage]]:
    """The fault entries by their code; those of parameters have a name, no title."""
    result: dict[str, list[Passage]] = defaultdict(list)
    for passage in found:
        if [one.name for one in passage.fields[:2]] == ["Code", "Title"]:
            result[passage.fields[0].value].append(passage)
    return result


def test_fault_entries_are_whole(
    read: tuple[frames.Done, list[Passage]], golds: list[dict[str, Any]]
) -> None:
    done, found = read
    units = entries(found)
    wrong = [
        gold["code"]
        for gold in golds
        if [p.page for p in units[gold["code"]]] != [gold["page"]]
        or not holds(units[gold["code"]][0], gold)
    ]
    assert len(wrong) <= (1 - WHOLE) * len(golds), wrong
    assert done.pages == 820
    # The printed numbers stand in the running feet.
    assert {p.page_label for p in found if p.page == 706} == {"3-706"}


def test_every_code_of_the_list_is_one_unit(read: tuple[frames.Done, list[Passage]]) -> None:
    units = entries(read[1])
    assert len(units) == CODES
    assert [code for code, passages in units.items() if len(passages) > 1] == []
    assert all(703 <= (p.page or 0) <= 820 for passages in units.values() for p in passages)


def test_every_parameter_of_the_list_is_a_unit(read: tuple[frames.Done, list[Passage]]) -> None:
    parameters = [p for p in read[1] if [one.name for one in p.fields[:2]] == ["Code", "Name"]]
    assert len(parameters) >= PARAMETERS
    assert all(22 <= (p.page or 0) <= 491 for p in parameters)
    (ramp,) = [p for p in parameters if p.fields[0].value == "p1080"]
    values = {one.name: one.value for one in ramp.fields}
    assert (ramp.page, values["Factory setting"]) == (149, "0.000 [rpm]")


def test_what_is_over_the_limit_of_an_entry_goes_on_with_its_title(
    read: tuple[frames.Done, list[Passage]],
) -> None:
    (first, second) = [p for p in read[1] if p.kind == "entry" and "C01711 SI" in p.text[:10]]
    assert (first.page, second.page) == (729, 730)
    assert second.text.startswith("C01711 SI Motion P1: Defect in a monitoring channel (continued)")
    assert "Re message value = 1005:" in second.text


def test_an_entry_says_what_its_page_does(read: tuple[frames.Done, list[Passage]]) -> None:
    units = entries(read[1])
    assert "Example:\nFor a 12 ms SI monitoring cycle" in units["C01770"][0].text
    assert units["F01513"][0].text.startswith("F01513 (N, A) ")


def test_causes_and_actions_come_out(
    read: tuple[frames.Done, list[Passage]], golds: list[dict[str, Any]]
) -> None:
    units = entries(read[1])
    wrong = [
        gold["code"]
        for gold in golds
        if not units[gold["code"]] or not extracted(units[gold["code"]][0], gold)
    ]
    assert len(wrong) <= (1 - EXTRACTED) * len(golds), wrong


def test_the_reader_stays_small(read: tuple[frames.Done, list[Passage]]) -> None:
    assert 0 < read[0].peak_mb < 400
