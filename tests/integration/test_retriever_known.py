"""What the manuals have of a question's codes, in a real corpus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from schemas.retrieval import DocumentRef, Field, Passage, Search
from services.retriever.asked import codes_asked
from services.retriever.corpus import Corpus
from services.retriever.known import Known, look_up
from services.retriever.records import DEFINES, prepare

pytestmark = pytest.mark.integration


def row(ordinal: int, code: str, header: str = "Fault code") -> Passage:
    fields = [Field(header, code), Field("Cause", f"cause {ordinal}")]
    text = " | ".join(f"{field.name}: {field.value}" for field in fields)
    return Passage(ordinal=ordinal, kind="row", text=text, fields=fields)


async def put(corpus: Corpus, doc_id: str, codes: Sequence[str], text: str = "") -> int:
    ref = DocumentRef(doc_id=doc_id, revision=1, title=doc_id, file=f"{doc_id}.pdf")
    passages = [row(n, code) for n, code in enumerate(codes)]
    if text:
        passages.append(Passage(ordinal=len(passages), text=text))
    await corpus.put(ref, prepare(ref, passages))
    await corpus.activate(doc_id, 1, len(passages))
    return next(n for n, document in corpus.active.items() if document.doc_id == doc_id)


@pytest.fixture
async def corpus(tmp_path: Path) -> AsyncIterator[Corpus]:
    corpus = await Corpus.open(tmp_path / "corpus.db")
    await put(corpus, "ax", ["F30001", "F30002", "F30021", "E.OC1", "P0.17"], "also see F30077")
    await put(corpus, "bx", ["ERR17", "ERR18", "ERR21"])
    await put(corpus, "cx", ["18", "20", "F20"])
    await put(corpus, "dx", ["SysCode206", "SysCode207", "0x0B0012", "OVX"])
    yield corpus
    await corpus.close()


async def ask(corpus: Corpus, question: str, first: Sequence[int] = ()) -> tuple[Known, list[str]]:
    known = await look_up(corpus, codes_asked(Search(question=question), corpus.names), first)
    strongest = max((hit.strength for hit in known.hits.values()), default=0)
    best = [p for p, hit in known.hits.items() if hit.strength == strongest]
    there = await corpus.fetch(best)
    return known, [
        there[label].passage.fields[0].value for label in best if there[label].passage.fields
    ]


@pytest.mark.parametrize(
    ("question", "cells"),
    [
        ("f 30002", ["F30002"]),
        ("F3 0002", ["F30002"]),
        ("F3OOO2", ["F30002"]),
        ("fault 30002", ["F30002"]),
        ("OC1 on the line", ["E.OC1"]),
        ("P017", ["P0.17"]),
        ("ERR018", ["ERR18"]),
        ("ERR 018", ["ERR18", "18"]),
        ("Er.18", ["ERR18"]),
        ("报警 18", ["ERR18", "18"]),
        ("SysCode206", ["SysCode206"]),
        ("what does syscode 206 mean", ["SysCode206"]),
        ("报 SysCode206 怎么办", ["SysCode206"]),
        ("0B0012", ["0x0B0012"]),
        ("error 0b0012", ["0x0B0012"]),
        ("KX drive shows ov x", ["OVX"]),
        ("KX o v x", ["OVX"]),
    ],
)
async def test_each_spelling_finds_the_row(corpus: Corpus, question: str, cells: list[str]) -> None:
    known, found = await ask(corpus, question)
    assert found == cells
    assert (known.unknown, known.near) == ([], {})


@pytest.mark.parametrize(
    ("question", "unknown", "near"),
    [
        ("What is F30020?", "F30020", ["F30002", "F30021", "F20"]),
        ("ERR20", "ERR20", ["ERR21", "20", "F20"]),
        ("E18", "E18", ["ERR18", "18"]),
        ("alarm 22", "22", ["20"]),
        ("F77777", "F77777", []),
        ("OtherCode306", "306", []),
    ],
)
async def test_a_code_nobody_has_is_told_with_those_near_it(
    corpus: Corpus, question: str, unknown: str, near: list[str]
) -> None:
    known, found = await ask(corpus, question)
    assert (found, known.hits, known.unknown) == ([], {}, [unknown])
    assert known.near.get(unknown, []) == near


async def test_a_code_that_is_mentioned_is_known(corpus: Corpus) -> None:
    known, _ = await ask(corpus, "F30077")
    assert known.hits
    assert known.unknown == []
    assert "F30077" not in (await ask(corpus, "F30078"))[0].near.get("F30078", [])


async def test_what_was_misspelt_is_told_as_the_manual_has_it(corpus: Corpus) -> None:
    assert (await ask(corpus, "P017"))[0].codes == ["P0.17"]
    assert (await ask(corpus, "F3 0002"))[0].codes == ["F30002"]
    assert (await ask(corpus, "alarm 18"))[0].codes == ["18"]


async def test_codes_are_told_as_people_and_manuals_write_them(corpus: Corpus) -> None:
    assert (await ask(corpus, "E.OC1"))[0].codes == ["E.OC1"]
    assert (await ask(corpus, "e-oc1"))[0].codes == ["E.OC1"]
    known, _ = await ask(corpus, "E.OC2")
    assert (known.unknown, known.near["E.OC2"][0]) == (["E.OC2"], "E.OC1")


async def test_the_assets_own_spelling_goes_before_what_another_manual_writes(
    corpus: Corpus,
) -> None:
    own = await put(corpus, "own", ["18", "P1.77"])
    await put(corpus, "another", ["P177"])
    for question, cell in (("Err18", "18"), ("P177", "P1.77")):
        known, _ = await ask(corpus, question, first=[own])
        there = await corpus.fetch([p for p, hit in known.hits.items() if hit.document == own])
        assert [one.passage.fields[0].value for one in there.values()] == [cell]


@pytest.mark.parametrize(
    ("question", "cells"),
    [
        ("$130", ["130"]),
        ("setting 130", ["130"]),
        ("alarm 130", []),
        ("Pr.7", ["7"]),
        ("Pr. 7", ["7"]),
        ("parameter 7", ["7"]),
    ],
)
async def test_numbers_are_found_by_what_their_header_calls_them(
    tmp_path: Path, question: str, cells: list[str]
) -> None:
    corpus = await Corpus.open(tmp_path / "marked.db")
    ref = DocumentRef(doc_id="marked", revision=1, title="marked", file="marked.pdf")
    passages = [row(0, "130", "$-Code"), row(1, "7", "Pr.")]
    await corpus.put(ref, prepare(ref, passages))
    await corpus.activate("marked", 1, 2)
    known, _ = await ask(corpus, question)
    defining = [p for p, hit in known.hits.items() if hit.strength == DEFINES and hit.certain]
    there = await corpus.fetch(defining)
    assert [one.passage.fields[0].value for one in there.values()] == cells
    await corpus.close()


async def test_a_definition_goes_before_a_mention_of_the_bare_number(tmp_path: Path) -> None:
    corpus = await Corpus.open(tmp_path / "mentioned.db")
    await put(corpus, "dx", ["ERR18"], "After alarm 18 the drive stops.")
    _, found = await ask(corpus, "alarm 18")
    assert found == ["ERR18"]
    await corpus.close()


async def test_a_code_that_is_parted_is_asked_for_as_surely_as_its_part(corpus: Corpus) -> None:
    known, _ = await ask(corpus, "F3 0002")
    assert known.hits
    assert all(hit.certain for hit in known.hits.values())


async def test_a_generic_prefix_is_a_number_where_no_manual_writes_it(tmp_path: Path) -> None:
    corpus = await Corpus.open(tmp_path / "bare.db")
    await put(corpus, "cx", ["18", "20"])
    known, found = await ask(corpus, "Err18")
    assert (found, known.unknown) == (["18"], [])
    await corpus.close()


async def test_the_assets_manual_goes_before_hundreds_of_others(corpus: Corpus) -> None:
    for n in range(4):
        await put(corpus, f"other{n}", ["E7"] * 40)
    own = await put(corpus, "own", ["E07"])
    known, _ = await ask(corpus, "E7", first=[own])
    assert own in {hit.document for hit in known.hits.values()}


async def test_a_product_or_terminal_beside_a_known_fault_is_not_missed(corpus: Corpus) -> None:
    known, found = await ask(corpus, "F30002 on the CU250, motor M1")
    assert (found, known.unknown) == (["F30002"], [])


async def test_where_only_one_manual_is_meant_others_know_nothing(corpus: Corpus) -> None:
    [bx] = (n for n, document in corpus.active.items() if document.doc_id == "bx")
    asked = codes_asked(Search(question="F30002 and ERR18"), corpus.names)
    anywhere = await look_up(corpus, asked, [bx])
    assert anywhere.unknown == []
    only = await look_up(corpus, asked, [bx], only=True)
    assert {hit.document for hit in only.hits.values()} == {bx}
    assert only.unknown == ["F30002"]
    assert only.certain
    none = await look_up(
        corpus, codes_asked(Search(question="ERR20"), corpus.names), [bx], only=True
    )
    assert (none.hits, none.certain, none.unknown) == ({}, False, ["ERR20"])
    assert none.near == {"ERR20": ["ERR21"]}
