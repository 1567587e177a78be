"""An answer out of passages, without a model."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answers import Language
from schemas.retrieval import DocumentRef, Field, Hit, Passage
from services.orchestrator.definition import is_of_another_code
from services.orchestrator.extract import Extract, extract
from services.orchestrator.quote import LONGEST_QUOTE, quote

pytestmark = pytest.mark.unit

By = Literal["code", "words", "vector"]
FD40 = DocumentRef(doc_id="fd40", revision=2, title="FD40 manual", file="fd40.pdf")
FOOTER = re.compile(r"第\s*\d+\s*页[\s,，/]*共\s*\d+\s*页|page\s+\d+\s*of\s*\d+", re.IGNORECASE)
OTHER = DocumentRef(doc_id="kx7", revision=1, title="KX7 manual", file="kx7.pdf")


def row(
    *cells: tuple[str, str],
    lang: str = "en",
    ordinal: int = 1,
    kind: Literal["row", "entry"] = "row",
    by: By = "code",
    document: DocumentRef = FD40,
    score: float = 0.9,
) -> Hit:
    passage = Passage(
        ordinal=ordinal,
        page=41,
        section="7 Faults > 7.2 Fault codes",
        kind=kind,
        text=" | ".join(f"{name}: {value}" for name, value in cells),
        fields=[Field(name, value) for name, value in cells],
        lang=lang,
    )
    return Hit(document=document, passage=passage, score=score, by=by)


def text(
    words: str, *, lang: str = "en", ordinal: int = 50, by: By = "words", score: float = 0.8
) -> Hit:
    passage = Passage(ordinal=ordinal, page=12, text=words, lang=lang)
    return Hit(document=FD40, passage=passage, score=score, by=by)


def ask(
    *hits: Hit,
    code: str = "E005",
    lang: str = "en",
    question: str = "",
    unknown: tuple[str, ...] = (),
) -> Extract:
    return extract(
        hits, question=question or code or "?", code=code, lang=lang, unknown_codes=unknown
    )  # type: ignore[arg-type]


EN = row(
    ("Code", "E005"),
    ("Fault name", "DC bus undervoltage"),
    ("Possible cause", "1. Mains voltage too low\n2. Phase missing at R, S, T"),
    ("Remedy", "1. Measure the mains at R, S, T\n2. Check the line fuses"),
)
ZH = row(
    ("故障代码", "E005"),
    ("故障名称", "直流母线欠压"),
    ("可能原因", "电网电压过低；输入缺相"),
    ("处理方法", "①测量R、S、T电压②检查进线熔断器"),
    lang="zh",
    ordinal=2,
)


def test_a_row_answers() -> None:
    answer = ask(EN)
    assert answer.summary == "E005 DC bus undervoltage: Mains voltage too low."
    assert answer.causes == ["Mains voltage too low", "Phase missing at R, S, T"]
    assert answer.actions == ["Measure the mains at R, S, T", "Check the line fuses"]
    assert answer.answered_by == "extract"
    assert answer.note == ""
    assert answer.text == (
        "E005 DC bus undervoltage [1]\n\n"
        "Causes\n1. Mains voltage too low [1]\n2. Phase missing at R, S, T [1]\n\n"
        "Actions\n1. Measure the mains at R, S, T [1]\n2. Check the line fuses [1]"
    )


def test_the_citation_says_where() -> None:
    (cited,) = ask(msgspec.structs.replace(EN, score=0.87654)).citations
    assert (cited.n, cited.document, cited.file, cited.doc_id) == (
        1,
        "FD40 manual",
        "fd40.pdf",
        "fd40",
    )
    assert (cited.revision, cited.page, cited.section) == (2, 41, "7 Faults > 7.2 Fault codes")
    assert cited.score == 0.877
    assert cited.quote.startswith("Code: E005 | Fault name: DC bus undervoltage")


@pytest.mark.parametrize("hits", [(EN, ZH), (ZH, EN)])
def test_the_language_asked_for_is_chosen(hits: tuple[Hit, ...]) -> None:
    english = ask(*hits)
    assert english.summary == "E005 DC bus undervoltage: Mains voltage too low."
    chinese = ask(*hits, lang="zh")
    assert chinese.summary == "E005 直流母线欠压：电网电压过低。"
    assert chinese.causes == ["电网电压过低", "输入缺相"]
    assert chinese.actions == ["测量R、S、T电压", "检查进线熔断器"]
    assert "可能原因\n- 电网电压过低 [1]" in chinese.text
    assert "处理方法\n1. 测量R、S、T电压 [1]" in chinese.text
    assert chinese.citations[0].quote.startswith("故障代码: E005")
    assert len(chinese.citations) == 2
    assert chinese.note == english.note == ""


def test_the_other_language_is_given_where_it_is_the_only_one() -> None:
    assert ask(EN, lang="zh").note == "仅有英文资料。"
    assert ask(EN, lang="zh").actions[0] == "Measure the mains at R, S, T"
    assert ask(ZH).note == "Only found in Chinese."


def test_a_translation_in_another_machines_manual_is_not_a_translation() -> None:
    elsewhere = msgspec.structs.replace(ZH, document=OTHER, score=0.3)
    assert ask(EN, elsewhere, lang="zh").summary.startswith("E005 DC bus undervoltage")


def test_unmarked_passages_are_in_the_language_of_their_words() -> None:
    unmarked = msgspec.structs.replace(ZH, passage=msgspec.structs.replace(ZH.passage, lang=""))
    assert ask(EN, unmarked, lang="zh").summary.startswith("E005 直流母线欠压")


def test_both_languages_in_one_row() -> None:
    both = row(
        ("Code", "17"),
        ("en.description", "Inverse kinematics failed"),
        ("en.solution", "Reselect the point"),
        ("zh_CN.description", "逆解算无解"),
        ("zh_CN.solution", "重新选取运动点位"),
        lang="",
    )
    assert ask(both, code="17").actions == ["Reselect the point"]
    assert ask(both, code="17", lang="zh").summary == "17 逆解算无解。"
    assert ask(both, code="17", lang="zh").actions == ["重新选取运动点位"]


def test_an_entry_with_notes_among_its_causes() -> None:
    entry = row(
        ("Code", "F30902"),
        ("Title", "Drive: DC link overvoltage"),
        ("Reaction", "OFF2 (OFF1)"),
        (
            "Cause",
            "The DC link voltage is too high.\n- motor regenerates.\n- mains high.\nNote:\nSee p1.",
        ),
        ("Remedy", "- increase the ramp (p1121).\n- check p0210.\nSee also: p0210, p1240"),
        kind="entry",
    )
    answer = ask(entry, code="F30902")
    assert answer.summary == "F30902 Drive: DC link overvoltage: The DC link voltage is too high."
    assert answer.causes == [
        "The DC link voltage is too high.",
        "motor regenerates.",
        "mains high.",
    ]
    assert answer.actions == ["increase the ramp (p1121).", "check p0210."]
    assert "Reaction: OFF2 (OFF1) [1]" in answer.text
    assert "Note: See p1. [1]" in answer.text
    assert "See also: p0210, p1240 [1]" in answer.text


def test_a_header_that_says_message_may_head_the_codes() -> None:
    answer = ask(
        row(
            ("Message", "**E05**"),
            ("Title/Description", "ON signal missing"),
            ("Possible cases", "PLC stopped. Cable open."),
            ("Remedy", "Check the cable."),
        ),
        code="E05",
    )
    assert answer.summary == "E05 ON signal missing: PLC stopped."
    assert answer.causes == ["PLC stopped.", "Cable open."]


def test_a_mixed_cell_is_told_apart() -> None:
    answer = ask(
        row(
            ("故障代码", "E07"),
            ("名称", "过热"),
            ("原因与处理", "1、风扇损坏\n2、更换风扇\n3、环境温度过高"),
            lang="zh",
        ),
        code="E07",
        lang="zh",
    )
    assert answer.causes == ["风扇损坏", "环境温度过高"]
    assert answer.actions == ["更换风扇"]


def test_a_row_with_the_name_alone() -> None:
    answer = ask(row(("Fault code", "56"), ("Meaning", "Battery connection is open")), code="56")
    assert answer.summary == "56 Battery connection is open."
    assert (answer.causes, answer.actions) == ([], [])


def test_a_parameter_row_says_its_values() -> None:
    answer = ask(
        row(
            ("功能代码", "P0-15"),
            ("名称", "载波频率"),
            ("设定范围", "0.5~16.0kHz"),
            ("出厂值", "4"),
            lang="zh",
        ),
        code="P0-15",
        lang="zh",
    )
    assert answer.summary == "P0-15 载波频率：设定范围 0.5~16.0kHz、出厂值 4。"


def test_the_richer_row_of_the_same_document_answers() -> None:
    register = row(("Code", "E005"), ("Name", "DC bus undervoltage"), ordinal=9)
    answer = ask(register, EN)
    assert answer.actions == ["Measure the mains at R, S, T", "Check the line fuses"]
    assert answer.citations[0].quote.startswith("Code: E005 | Fault name")


def test_another_meaning_of_the_code_is_named() -> None:
    elsewhere = row(
        ("Code", "E005"),
        ("Fault name", "Door open"),
        ("Remedy", "Close it"),
        document=OTHER,
        ordinal=3,
    )
    answer = ask(EN, elsewhere)
    assert answer.actions == ["Measure the mains at R, S, T", "Check the line fuses"]
    assert "Also listed\nKX7 manual: E005 Door open. [2]" in answer.text
    assert answer.citations[1].document == "KX7 manual"
    assert answer.note == "The manuals list this code more than once, with different meanings."


def test_an_index_of_parameters_is_no_other_meaning() -> None:
    entry = row(("Code", "p1082"), ("Name", "Maximum speed / n_max"), ("Description", "Sets it."))
    index = row(("Par. no.", "p1082"), ("Name", "Maximum speed"), ("Access level", "1"), ordinal=9)
    answer = ask(entry, index, code="p1082")
    assert answer.note == ""
    assert "Also listed" not in answer.text


def test_nothing_found() -> None:
    answer = ask(code="", question="why is the sky blue")
    assert answer.summary == answer.text == "Not found in the manuals."
    assert answer.answered_by == "none"
    assert answer.citations == []
    assert ask(code="", question="天空", lang="zh").summary == "手册中没有找到相关内容。"


@pytest.mark.parametrize(
    ("lang", "summary"),
    [("en", "No manual lists fault code E999."), ("zh", "手册中没有故障代码 E999。")],
)
@pytest.mark.parametrize(
    "hits",
    [
        (),
        (row(*[(f.name, f.value) for f in EN.passage.fields], by="words"),),
        (
            row(*[(f.name, f.value) for f in EN.passage.fields], by="vector"),
            text("The belt may slip."),
        ),
        # Found by a code, but by that of the question's other words.
        (EN,),
        (text("E005 comes with weak mains.", by="code"), EN),
    ],
)
def test_an_unknown_code_gets_no_other_codes_answer(
    hits: tuple[Hit, ...], lang: str, summary: str
) -> None:
    for answer in (
        ask(*hits, code="E999", lang=lang),
        ask(*hits, code="E999", lang=lang, unknown=("E999",)),
    ):
        assert answer.summary == answer.note == summary
        assert (answer.causes, answer.actions, answer.citations) == ([], [], [])
        assert answer.answered_by == "none"


def test_an_unknown_code_in_the_question_alone() -> None:
    neighbour = row(*[(f.name, f.value) for f in EN.passage.fields], by="words")
    answer = ask(neighbour, code="", question="What is E999?", unknown=("E999",))
    assert answer.summary == "No manual lists fault code E999."
    assert answer.citations == []


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "No manual lists fault code F30020. Did you mean F30002, F30021?"),
        ("zh", "手册中没有故障代码 F30020。您要找的是不是 F30002、F30021？"),
    ],
)
def test_codes_that_may_have_been_meant_are_offered(lang: Language, said: str) -> None:
    answer = extract(
        [],
        question="F-30020?",
        code="",
        lang=lang,
        unknown_codes=["F30020"],
        near={"F30020": ["F30002", "F30021"], "F9": ["F8"]},
    )
    assert (answer.summary, answer.note, answer.citations) == (said, said, [])


@pytest.mark.parametrize(
    ("cell", "code", "same"),
    [
        ("E.OC1", "OC1", True),
        ("E9", "AL.E9", True),
        ("ERR18", "Er.018", True),
        ("2310h", "0x2310", True),
        ("18", "Err18", True),
        ("E.LU", "LU", True),
        ("E18", "ERR18", False),
        ("F18", "E18", False),
        ("F30002", "f3oo02", True),
        ("E.OC1", "E.0C1", True),
        ("OL", "01", False),
        ("OC2", "E.OC1", False),
    ],
)
def test_a_row_answers_for_its_code_however_it_is_written(cell: str, code: str, same: bool) -> None:
    hit = row(("Fault code", cell), ("Cause", "mains"))
    assert is_of_another_code(hit.passage, code) is not same


def test_related_text_may_be_cited_for_an_unknown_code() -> None:
    related = text("Keep the vents clear. An undervoltage of the bus comes from weak mains.")
    answer = ask(EN, related, code="E999", question="E999 undervoltage of the bus")
    assert answer.summary == answer.note == "No manual lists fault code E999."
    assert (answer.causes, answer.actions) == ([], [])
    assert "An undervoltage of the bus comes from weak mains. [1]" in answer.text
    assert [cited.page for cited in answer.citations] == [12]
    assert answer.citations[0].quote == "An undervoltage of the bus comes from weak mains."


def test_a_known_code_beside_an_unknown_one() -> None:
    answer = ask(EN, code="", question="E005 and E999", unknown=("E999",))
    assert answer.summary.startswith("E005")
    assert answer.note == "No manual lists fault code E999."


def test_spellings_of_one_code_are_one_code() -> None:
    assert ask(EN, code="E-5").summary == "E005 DC bus undervoltage: Mains voltage too low."
    assert ask(EN, code="e.005").summary == "E005 DC bus undervoltage: Mains voltage too low."


def test_a_symptom_row_without_a_code() -> None:
    answer = ask(
        row(
            ("序号", "5"),
            ("故障现象", "均衡器不开机"),
            ("原因分析", "不满足工作条件"),
            ("排除方法", "检查第一串电池的电压是否高于 2.4V，\n若不满足条件，请充电。"),
            lang="zh",
            by="words",
        ),
        code="",
        question="均衡器不开机怎么办",
        lang="zh",
    )
    assert answer.summary == "均衡器不开机：不满足工作条件。"
    assert answer.actions == ["检查第一串电池的电压是否高于 2.4V，若不满足条件，请充电。"]


def test_running_text() -> None:
    answer = ask(
        text(
            "The panel has four keys.\nIf the motor hums and does not turn, one phase is missing. "
            "This is caused by a blown fuse. Check the fuses and replace them. Keys beep."
        ),
        code="",
        question="motor hums, does not turn",
    )
    assert answer.summary == "If the motor hums and does not turn, one phase is missing."
    assert answer.causes == ["This is caused by a blown fuse."]
    assert answer.actions == ["Check the fuses and replace them."]
    assert answer.citations[0].quote.startswith("If the motor hums")


def test_running_text_in_chinese() -> None:
    answer = ask(
        text(
            "面板有四个键。电机嗡嗡响但不转动时，缺少一相。由于熔断器烧断。请检查并更换熔断器。",
            lang="zh",
        ),
        code="",
        question="电机嗡嗡响不转动怎么办",
        lang="zh",
    )
    assert answer.summary == "电机嗡嗡响但不转动时，缺少一相。"
    assert answer.causes == ["由于熔断器烧断。"]
    assert answer.actions == ["请检查并更换熔断器。"]


def test_running_text_without_cues_is_given_as_it_is() -> None:
    answer = ask(
        text("The unit weighs 4 kg. The housing is made of steel. Painting is grey."),
        code="",
        question="What is the housing made of?",
    )
    assert (answer.causes, answer.actions) == ([], [])
    assert answer.summary == "The housing is made of steel."
    assert answer.text == (
        "The unit weighs 4 kg. [1]\nThe housing is made of steel. [1]\nPainting is grey. [1]"
    )


def test_the_machines_name_does_not_choose_the_sentence() -> None:
    answer = ask(
        text("FD40 manual, FD40 series.\nSet range: 0-10\nThe rated speed stands on the plate."),
        code="",
        question="FD40 manual: rated speed?",
    )
    assert answer.summary == "The rated speed stands on the plate."
    assert answer.actions == []


PARAMETERS = text(
    "PD013 Parameter Reset\n"
    "Set Range：00—10 Unit：1 Factory Setting：00\n"
    "Set to 08 it restores the values of the factory.\n"
    "PD014 Accel. Time 1 ** Set Range：0.1—6500.0S Unit：0.1S Factory Setting：*\n"
    "PD015 Decel. Time 1 ** Set Range：0.1—6500.0S Unit：0.1S Factory Setting：*\n"
    "12\n"
    "Yes"
)


def test_one_parameter_of_a_page_answers_with_its_range() -> None:
    answer = ask(PARAMETERS, code="", question="how do I set the acceleration time?")
    assert answer.text == (
        "PD014 Accel. Time 1 ** Set Range：0.1—6500.0S Unit：0.1S Factory Setting：* [1]"
    )
    answer = ask(PARAMETERS, code="", question="which parameter restores the factory values")
    assert answer.text.splitlines() == [
        "PD013 Parameter Reset [1]",
        "Set Range：00—10 Unit：1 Factory Setting：00 [1]",
        "Set to 08 it restores the values of the factory. [1]",
    ]
    expected = "PD013 Parameter Reset: Set to 08 it restores the values of the factory."
    assert answer.summary == expected
    assert answer.citations[0].quote.startswith("PD013 Parameter Reset Set Range")


def test_the_steps_of_a_procedure_are_given_in_order() -> None:
    answer = ask(
        text(
            "5.2 Replace the fan\n1. Switch the drive off.\n2. Wait until the bus is empty.\n"
            "3. Take the cover off and pull the fan out.\n5.3 Storage\nKeep the drive dry."
        ),
        code="",
        question="how do I replace the fan?",
    )
    assert answer.text.splitlines() == [
        "5.2 Replace the fan [1]",
        "1. Switch the drive off. [1]",
        "2. Wait until the bus is empty. [1]",
        "3. Take the cover off and pull the fan out. [1]",
    ]


def test_a_bit_of_a_word_is_found() -> None:
    hit = row(
        ("", "Data"),
        ("", "21"),
        (
            "",
            "Byte0: values " + "of no interest " * 12 + "bit4:phase B bit3:过压故障 bit2:欠压故障",
        ),
        lang="zh",
        by="words",
    )
    answer = ask(hit, code="", question="bit3 是什么", lang="zh")
    assert answer.summary == "7.2 Fault codes：bit3:过压故障"
    assert "bit3:过压故障 [1]" in answer.text.splitlines()


def test_a_row_without_headers_is_read_once() -> None:
    answer = ask(row(("", "bit13"), ("", "充电MOS击穿标志"), by="words"), code="", lang="zh")
    assert answer.text == "bit13 充电MOS击穿标志。 [1]"


def test_a_header_of_the_codes_meaning_is_no_code() -> None:
    answer = ask(row(("ID", "4"), ("Alarm Code Description", "Probe fail.")), code="4")
    assert answer.summary == "4 Probe fail."


def test_of_equal_codes_the_machine_named_is_meant() -> None:
    elsewhere = row(("Code", "E005"), ("Fault name", "Door open"), document=OTHER, ordinal=3)
    answer = ask(EN, elsewhere, question="E005 on the KX7")
    assert answer.summary == "E005 Door open."
    assert ask(EN, elsewhere, question="E005").summary.startswith("E005 DC bus")


def test_a_products_name_is_not_the_code() -> None:
    answer = ask(EN, code="FD4000", question="FD4000 drive shows E005")
    assert answer.summary.startswith("E005 DC bus undervoltage")
    assert ask(EN, code="E999", question="E999 or E005", unknown=("E999",)).citations == []


def test_a_column_of_causes_alone_may_say_what_to_do() -> None:
    answer = ask(
        row(("Code", "E17"), ("Possible cases", "Supply dips. Check the supply.")), code="E17"
    )
    assert (answer.causes, answer.actions) == (["Supply dips."], ["Check the supply."])


def test_words_keep_the_punctuation_of_their_language() -> None:
    answer = ask(EN, lang="zh")
    assert answer.summary == "E005 DC bus undervoltage: Mains voltage too low."
    assert answer.note == "仅有英文资料。"


def test_passages_behind_the_first_say_a_line_each() -> None:
    first = text("The spindle takes a collet of 13 mm.", ordinal=60)
    second = text("Change the collet with the spindle at rest.", ordinal=61)
    neighbour = text("The door has two hinges.", ordinal=62)
    answer = ask(first, second, neighbour, code="", question="collet of the spindle?")
    assert answer.text == (
        "The spindle takes a collet of 13 mm. [1]\n\n"
        "Related text\nChange the collet with the spindle at rest. [2]"
    )


def test_a_codes_neighbour_says_nothing() -> None:
    neighbour = text("E006 is a DC bus overvoltage, fault of the brake.", ordinal=61)
    answer = ask(EN, neighbour, question="what is the DC bus fault E005 of the brake?")
    assert "E006" not in answer.text


def test_at_most_five_citations_and_none_twice() -> None:
    more = [text(f"Undervoltage, part {n}.", ordinal=n) for n in range(60, 70)]
    weak = text("Something of no weight.", ordinal=80, score=0.1)
    answer = ask(EN, EN, weak, *more)
    assert [cited.n for cited in answer.citations] == [1, 2, 3, 4, 5]
    assert len({cited.quote for cited in answer.citations}) == 5
    assert all("no weight" not in cited.quote for cited in answer.citations)


cells = st.text(alphabet="abcE05 .:;|\n、。；1①-电压过低检查", max_size=60)
headers = st.sampled_from(
    ["Code", "Name", "Cause", "Remedy", "处理方法", "原因", "Unit", "Message", "原因及对策", "x"]
)
rows = st.builds(
    row,
    st.tuples(headers, cells),
    st.tuples(headers, cells),
    st.tuples(headers, cells),
    lang=st.sampled_from(["", "en", "zh"]),
    ordinal=st.integers(min_value=0, max_value=6),
    kind=st.sampled_from(["row", "entry"]),
    by=st.sampled_from(["code", "words", "vector"]),
    score=st.floats(min_value=-0.5, max_value=1.5),
)
manual = st.lists(
    st.sampled_from(
        [
            "PD014 Accel. Time 1 **",
            "Set Range: 0.1-6500.0S Unit: 0.1S",
            "Check the fuses. This is caused by a blown fuse.",
            "1. Press SET 2. Turn the knob",
            "b) Device connection",
            "Byte 2",
            "bit3:过压故障 bit2:欠压故障",
            "第 8 页 共 19 页",
            "由于电网电压过低，请检查电源。",
            "E005",
            "Yes",
        ]
    ),
    max_size=12,
).map("\n".join)
texts = st.builds(
    text,
    st.one_of(st.text(max_size=400), manual),
    lang=st.sampled_from(["", "en", "zh"]),
    ordinal=st.integers(min_value=10, max_value=16),
    by=st.sampled_from(["code", "words", "vector"]),
)


def squeezed(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def verbatim(item: str, hits: list[Hit]) -> bool:
    """Return whether one passage has the words, whatever separators stood between them.

    A page's footer is none of the words; what announces an item has its separator behind it.
    """
    sources = [hit.passage.text + "".join(f.value for f in hit.passage.fields) for hit in hits]
    sources += [FOOTER.sub("", source) for source in sources]
    parts = [squeezed(part) for part in re.split(r"(?<=[:：])\s?", item)]
    return any(all(part in squeezed(source) for part in parts) for source in sources)


@given(
    hits=st.lists(st.one_of(rows, texts), max_size=7),
    code=st.sampled_from(["", "E005", "E05", "1"]),
    question=st.text(max_size=40),
    lang=st.sampled_from(["en", "zh"]),
    unknown=st.sampled_from([(), ("E05",), ("E7", "e-7")]),
)
def test_any_passages_make_a_sound_answer(
    *, hits: list[Hit], code: str, question: str, lang: str, unknown: tuple[str, ...]
) -> None:
    answer = extract(hits, question=question, code=code, lang=lang, unknown_codes=unknown)  # type: ignore[arg-type]
    assert answer.summary
    assert answer.text
    assert [cited.n for cited in answer.citations] == list(range(1, len(answer.citations) + 1))
    assert len(answer.citations) <= 5
    assert (answer.answered_by == "none") == (not answer.citations)
    for item in answer.causes + answer.actions:
        assert item in answer.text
        assert verbatim(item, hits)
    numbers = {cited.n for cited in answer.citations}
    assert {int(n) for n in re.findall(r" \[(\d+)\]$", answer.text, re.MULTILINE)} <= numbers
    said = [line for line in answer.text.splitlines() if line.startswith("- ")]
    assert all(re.search(r" \[\d+\]$", line) for line in said)
    sources = ["".join(hit.passage.text.split()) for hit in hits]
    for cited in answer.citations:
        assert len(cited.quote) <= LONGEST_QUOTE
        assert 0.0 <= cited.score <= 1.0
        assert any("".join(cited.quote.split()) in source for source in sources)
    if code and not any(hit.by == "code" for hit in hits):
        assert (answer.causes, answer.actions) == ([], [])
        assert code in answer.summary


def test_running_text_that_names_the_code_knows_it() -> None:
    answer = ask(text("The belt may slip. E-005 comes with weak mains.", by="code"))
    assert answer.summary == "E-005 comes with weak mains."
    assert answer.note == ""


@given(words=st.text(alphabet="ab 电压。.|; \n", max_size=900), bearing=st.text(max_size=9))
def test_a_quote_is_a_piece_of_the_passage(words: str, bearing: str) -> None:
    piece = quote(words, bearing)
    assert len(piece) <= LONGEST_QUOTE
    assert "".join(piece.split()) in "".join(words.split())


def test_a_quote_ends_with_a_sentence_or_a_cell() -> None:
    assert quote("One two. Three four. Five six.", limit=22) == "One two. Three four."
    assert quote("Code: E1 | Name: long name here", limit=20) == "Code: E1"
    assert quote("一二三。四五六。七八九", limit=9) == "一二三。四五六。"
    assert quote("One two. Three four.", "Three") == "Three four."
    assert not re.search(r"\s$", quote("word " * 100))


@pytest.mark.parametrize(
    ("question", "lang", "says", "wanted"),
    [
        (
            "how long do the capacitors of the drive last",
            "en",
            "The capacitors of the drive age. Its capacitors last 4 to 5 years. Keep it dry.",
            "4 to 5 years",
        ),
        (
            "what voltage does the encoder need",
            "en",
            "The encoder needs a voltage that is clean. The encoder needs 24 V. Screen its cable.",
            "24 V",
        ),
        ("电容寿命多久", "zh", "电容寿命与温度有关。电容寿命为5年。请保持干燥。", "5年"),
    ],
)
def test_who_asks_for_a_number_gets_the_sentence_with_it(
    question: str, lang: str, says: str, wanted: str
) -> None:
    assert wanted in ask(text(says, lang=lang), code="", lang=lang, question=question).summary


def test_of_a_long_description_the_sentence_that_is_asked_for_is_told() -> None:
    said = (
        "Not available for the J series. The target is set by the keypad. When the output"
        " oscillates, decrease the gain."
    )
    entry = row(
        ("Code", "PD159"), ("Name", "PID target"), ("Description", said), kind="entry", by="words"
    )
    asked = ask(entry, code="", question="the PID output oscillates, what should be changed?")
    assert "decrease the gain" in asked.summary
    # Who asks for the parameter alone gets what it is told to be first.
    assert "J series" in ask(entry, code="", question="what is the PID target").summary


RAMP = row(
    ("Parameter", "p1120"),
    ("Name", "Ramp-up time"),
    ("Description", "From standstill to the highest speed."),
    ("Min", "0.000 [s]"),
    ("Max", "999.000 [s]"),
    ("Factory setting", "10.000 [s]"),
    kind="entry",
)


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("p1120 factory setting", "Factory setting 10.000 [s]"),
        ("what is the default of p1120", "Factory setting 10.000 [s]"),
        ("p1120 出厂值", "Factory setting 10.000 [s]"),
        ("p1120 min and max", "Min 0.000 [s], Max 999.000 [s]"),
        ("what range does p1120 take", "Min 0.000 [s], Max 999.000 [s]"),
        ("what is p1120", "From standstill to the highest speed"),
        ("restore the factory setting with p1120", "From standstill to the highest speed"),
    ],
)
def test_a_value_that_is_asked_for_is_the_summary(question: str, value: str) -> None:
    answer = ask(RAMP, code="p1120", question=question)
    assert answer.summary == f"p1120 Ramp-up time: {value}."
    assert "From standstill" in answer.text
    assert "Factory setting: 10.000 [s]" in answer.text or "Factory setting 10.000" in answer.text


def test_a_parameter_that_two_manuals_have_with_other_meanings_is_told() -> None:
    other = row(
        ("Parameter", "p1120"), ("Name", "PID target"), ("Factory setting", "0"),
        kind="entry", document=DocumentRef(doc_id="bx", revision=1, title="BX", file="bx.pdf"),
    )  # fmt: skip
    answer = ask(RAMP, other, code="p1120", question="p1120 factory setting")
    assert answer.note == "The manuals list this code more than once, with different meanings."
    assert "BX: p1120 PID target: Factory setting 0." in answer.text
    same = row(
        ("Parameter", "p1120"), ("Name", "Ramp-up time (note 2)"), kind="entry",
        document=DocumentRef(doc_id="cx", revision=1, title="CX", file="cx.pdf"),
    )  # fmt: skip
    assert ask(RAMP, same, code="p1120").note == ""


def quoted(hit: Hit, **called: str) -> Hit:
    names = {key.replace("_", " "): name for key, name in called.items()}
    return msgspec.structs.replace(hit, called=names)


def test_what_is_quoted_from_the_other_language_is_framed_in_the_one_asked_for() -> None:
    answer = ask(quoted(EN, DC_bus_undervoltage="直流母线欠压"), lang="zh")
    assert answer.summary == "E005 直流母线欠压（DC bus undervoltage）：Mains voltage too low。"
    assert answer.causes == ["Mains voltage too low", "Phase missing at R, S, T"]
    assert answer.note == "仅有英文资料。"
    assert answer.text == (
        "E005 直流母线欠压（DC bus undervoltage） [1]\n\n"
        "可能原因（手册原文，英文）\n"
        "1. Mains voltage too low [1]\n2. Phase missing at R, S, T [1]\n\n"
        "处理方法（手册原文，英文）\n"
        "1. Measure the mains at R, S, T [1]\n2. Check the line fuses [1]"
    )
    english = ask(quoted(ZH, 直流母线欠压="DC bus undervoltage"))
    assert english.summary == "E005 DC bus undervoltage (直流母线欠压)：电网电压过低。"
    assert "Causes (in the manual's words, Chinese)\n- 电网电压过低 [1]" in english.text


def test_a_name_in_the_language_asked_for_stays() -> None:
    assert ask(quoted(EN, DC_bus_undervoltage="直流母线欠压")).summary.startswith("E005 DC bus")
    assert ask(quoted(EN, Phase="相"), lang="zh").summary.startswith("E005 DC bus undervoltage:")


@pytest.mark.parametrize(
    "hit",
    [
        row(("Register", "21"), ("Content", "the speed of the belt"), by="words"),
        text("The belt runs at 4 m/s."),
    ],
    ids=["row", "prose"],
)
def test_quotes_without_titles_are_headed(hit: Hit) -> None:
    answer = ask(hit, code="", question="皮带 belt", lang="zh")
    assert answer.text.startswith("手册原文，英文：\n")
    assert not ask(hit, code="", question="belt").text.startswith("手册")


def test_a_cell_in_both_languages_is_not_only_in_one() -> None:
    both = row(("Data", "E005"), ("Description", "Inverter current exceeds the limit 逆变过流"))
    assert ask(both).note == ""
    assert ask(both, lang="zh").note == ""


def test_what_announces_leads_the_first_of_its_steps() -> None:
    answer = ask(
        row(
            ("Code", "E005"),
            ("Name", "Low"),
            ("Cause", "mains"),
            ("Remedy", "For value = 1:\n- check R\n- check S\nFor value = 2:\n- wait"),
        )
    )
    assert answer.actions == ["For value = 1: check R", "check S", "For value = 2: wait"]


def test_a_note_on_something_is_no_cause() -> None:
    cause = "Mains low.\nNote regarding the fault value:\nyy = part"
    answer = ask(row(("Code", "E005"), ("Name", "Low"), ("Cause", cause), ("Remedy", "Wait")))
    assert answer.causes == ["Mains low."]
    assert "Note regarding the fault value: yy = part" in answer.text


def test_a_solution_that_says_what_is_wrong_is_a_cause() -> None:
    fault = row(("No", "3"), ("Question", "Belt Error!"), ("Solution", "The belt is worn."))
    answer = ask(fault, code="", question="belt error")
    assert (answer.causes, answer.actions) == (["The belt is worn."], [])
    assert answer.summary == "Belt Error! The belt is worn."
    mend = row(("No", "3"), ("Question", "Belt Error!"), ("Solution", "Replace the belt."))
    assert ask(mend, code="", question="belt error").actions == ["Replace the belt."]


def test_what_must_be_done_is_no_cause() -> None:
    answer = ask(
        row(
            ("Message", "E005"),
            ("Title", "Short circuit"),
            ("Description", "A phase is shorted"),
            ("Possible causes", "The drive must be powered for 15 min before it can be reset."),
        )
    )
    assert answer.summary == "E005 Short circuit: A phase is shorted."
    assert answer.actions == ["The drive must be powered for 15 min before it can be reset."]


def test_signs_that_are_values_stay_and_ticks_go() -> None:
    answer = ask(
        row(
            ("Code", "P0-17"),
            ("Name", "Belt heat"),
            ("Factory setting", "*"),
            ("Unit", "℃"),
            ("Changeable", "✅"),
        ),
        code="P0-17",
    )
    assert answer.summary == "P0-17 Belt heat: Factory setting *, Unit ℃."


def test_steps_of_running_text_are_told_without_their_counters() -> None:
    page = text("Belt slips\n1、Check the belt.\n2、Tighten the belt.")
    answer = ask(page, code="", question="belt slips")
    assert answer.actions == ["Check the belt.", "Tighten the belt."]
    assert "2、Tighten the belt. [1]" in answer.text


def test_a_header_that_its_cell_repeats_is_said_once() -> None:
    answer = ask(
        row(("Check", "Check for air in the belt"), ("Display", "F20"), by="words"), code=""
    )
    assert "Check Check" not in answer.summary + answer.text


def test_a_sentence_in_brackets_is_one() -> None:
    page = text("Start it, stop below 0.01v.(it is best to set the belt to 3.) Go on.")
    assert (
        ask(page, code="", question="best belt set").summary == "(it is best to set the belt to 3.)"
    )


def test_pictures_of_a_page_leave_no_names() -> None:
    answer = ask(row(("Code", "E005"), ("Display", "|image061| blinks"), ("Cause", "Belt worn")))
    assert "image" not in answer.text


def test_a_long_description_is_given_line_by_line() -> None:
    filler = "It is for belts of all kinds and sizes. " * 9
    described = f"{filler}\nPID works with the belt.\n2. Reduce the hum\na：lower P1\nb：lower P2"
    entry = row(("Code", "P9"), ("Name", "Target"), ("Description", described), kind="entry")
    answer = ask(entry, code="P9", question="P9 the belt hums")
    assert "\n2. Reduce the hum [1]\na：lower P1 [1]\nb：lower P2 [1]" in answer.text
    assert len(answer.summary) < len(filler)


def test_a_heading_of_another_matter_is_not_in_the_summary() -> None:
    page = text("r) Belt heat 2\nArea 3 is that of the rollers.\nA worn roller is shown in red.")
    answer = ask(page, code="", question="roller shown red")
    assert answer.summary == "A worn roller is shown in red."
    page = text("r) Rollers\nArea 3 is that of the rollers.\nA worn roller is shown in red.")
    assert ask(page, code="", question="roller shown red").summary == (
        "Rollers: A worn roller is shown in red."
    )


def test_what_announces_is_told_with_what_comes_next() -> None:
    page = text("If the belt slips on the roller:\nb) clean the roller;\nc) tighten it.")
    answer = ask(page, code="", question="belt slips roller")
    assert answer.summary == "If the belt slips on the roller: b) clean the roller;"


def test_wrapped_chinese_is_quoted_without_spaces() -> None:
    assert quote("控制器没有电源开关，设计为充电激活模式，\n需要接上电源。") == (
        "控制器没有电源开关，设计为充电激活模式，需要接上电源。"
    )
    assert quote("电压校准\n电压校准功能可以校准电压采集的精度和误差。") == (
        "电压校准 电压校准功能可以校准电压采集的精度和误差。"
    )


def test_how_bad_a_fault_is_is_not_its_name() -> None:
    fault = row(
        ("错误代码", "61207"),
        ("错误级别", "Fatal"),
        ("描述", "belt drive stalled"),
        ("报警含义", "皮带驱动堵转"),
    )
    english, chinese = (ask(fault, code="61207", lang=lang) for lang in ("en", "zh"))
    assert english.summary == "61207 belt drive stalled."
    assert chinese.summary == "61207 皮带驱动堵转。"
    assert "错误级别：Fatal [1]" in english.text
    typed = row(("Code", "E005"), ("Fault type", "Warning"), ("Description", "Belt loose"))
    assert ask(typed).summary == "E005 Belt loose."


@pytest.mark.parametrize("header", ["S/N", "No.", "Item", "序号", "#"])
def test_the_number_of_a_row_is_not_in_its_summary(header: str) -> None:
    fault = row((header, "12"), ("Code", "E005"), ("Name", "Belt loose"), ("Procedure", "Tighten."))
    assert ask(fault).summary == "E005 Belt loose."
    assert ask(fault).actions == ["Tighten."]


def test_a_row_in_both_languages_is_told_in_the_one_asked_for() -> None:
    both = row(("Code", "E005"), ("Fault", "Bus voltage high 直流母线电压过高"), lang="zh")
    assert (ask(both).summary, ask(both).note) == ("E005 Bus voltage high.", "")
    chinese = ask(both, lang="zh")
    assert (chinese.summary, chinese.note) == ("E005 直流母线电压过高。", "")
    columns = row(
        ("代码", "E005"), ("描述", "belt stalled"), ("含义", "皮带堵转"), ("原因", "皮带过紧或缺油")
    )
    assert (ask(columns).note, ask(columns, lang="zh").note) == ("", "")


def test_a_code_is_told_as_the_manual_prints_it() -> None:
    entry = row(("Code", "F40021"), ("Name", "Brake unit"), ("Cause", "It is worn."))
    assert ask(entry, code="40021").summary == "F40021 Brake unit: It is worn."
    several = row(("Code", "A112 / A0113"), ("Name", "Fan"), ("Cause", "It is dusty."))
    assert ask(several, code="113").summary == "A0113 Fan: It is dusty."
    listed = row(("Value", "4"), ("Name", "Motor hot"), ("Cause", "Overload."))
    assert ask(listed, code="F4").summary == "F4 Motor hot: Overload."


@pytest.mark.parametrize(
    ("name", "other", "differ"),
    [
        ("Motor current setting", "Motor-Current", False),
        ("Brake mot stds / Brk_std", "Brake motor standard", False),
        ("Motor fault", "Monitor fault", True),
        ("Step 1", "Step 2", True),
    ],
)
def test_the_same_words_are_no_other_meaning(name: str, other: str, differ: bool) -> None:
    one = row(("Code", "E005"), ("Fault name", name), ("Remedy", "Check it"))
    two = row(("Code", "E005"), ("Fault name", other), ordinal=3, document=OTHER)
    assert bool(ask(one, two).note) is differ


@pytest.mark.parametrize(
    ("lang", "said"),
    [("en", "No manual of Zentrix is loaded."), ("zh", "没有 Zentrix 的手册。")],
)
def test_a_maker_nobody_has_a_manual_of_is_told_and_no_code_offered(lang: str, said: str) -> None:
    got = extract(
        [],
        question="Zentrix ZX300 alarm 14",
        code="Zentrix ZX300",
        lang=lang,  # type: ignore[arg-type]
        unknown_codes=["Zentrix ZX300", "Zentrix 14"],
        near={"Zentrix 14": ["14"]},
    )
    assert (got.summary, got.answered_by) == (said, "none")


def test_a_standard_label_is_in_the_language_of_the_answer() -> None:
    entry = row(
        ("Code", "F40021"), ("Name", "Brake unit"), ("Cause", "Worn."), ("Acknowledge", "NONE")
    )
    assert "应答：NONE [1]" in ask(entry, code="F40021", lang="zh").text
    assert "Acknowledge: NONE [1]" in ask(entry, code="F40021").text


def test_a_list_of_devices_is_no_value() -> None:
    entry = row(
        ("Parameter", "p1120"),
        ("Name", "Ramp-up time"),
        ("", "QX240B-2"),
        ("Unit", "s"),
        ("", "PW250, PW260"),
        ("", "not below 10 Hz"),
    )
    told = ask(entry, code="p1120").text
    assert "QX240B" not in told
    assert "PW250" not in told
    assert "not below 10 Hz" in told


def test_the_sentence_that_this_refers_to_stands_before_it() -> None:
    note = " ".join(
        (
            "The pump may only start outside of the filling mode.",
            "To realize this, the filter must be set to 0.",
            *(f"The filter number {n} cleans the filter water at the inlet." for n in range(16)),
        )
    )
    entry = row(("Parameter", "p7010"), ("Name", "Selector"), ("Note", note))
    told = ask(entry, code="p7010", question="p7010 filter set to 0").text
    assert "Note: The pump may only start outside of the filling mode. [1]\nTo realize this" in told


def test_a_list_below_an_entry_is_given_whole() -> None:
    entry = row(("Code", "r7052"), ("Name", "Status word"), ("Description", "Shows bits."))
    bits = [f"Bit: {n:02} | Signal name: Signal {n} | FP: -" for n in range(16)]
    told = ask(msgspec.structs.replace(entry, below=bits), code="r7052").text
    assert [f"Bit: {n:02}, Signal name: Signal {n} [1]" in told for n in range(16)] == [True] * 16
    assert "FP" not in told


def test_a_list_that_a_text_begins_is_given_whole_and_once() -> None:
    fields = [f"{n}. | Symbol: N{n} | Description: Field {n}" for n in range(1, 9)]
    begun = text("2.9 QXYGS: status inquiry\nComputer: QXYGS <cr>\n" + "\n".join(fields[:3]))
    told = ask(
        msgspec.structs.replace(begun, below=fields), code="", question="what does QXYGS return"
    ).text
    assert [told.count(f"Description: Field {n} [1]") for n in range(1, 9)] == [1] * 8
    other = text("The pump starts when the valve is open.")
    told = ask(msgspec.structs.replace(other, below=fields), code="", question="pump starts").text
    assert "Symbol" not in told


def test_a_row_found_by_its_meaning_says_more_than_its_heading() -> None:
    bits = (
        "字节0~3：故障值（非0为故障）\nbit7 编码器未标定\nbit3 过压故障\nbit2 欠压故障" + "，" * 4
    )
    cells = (("数据域", "描述"), ("29位ID", "23"), ("", "主机标识"), ("8字节数据区", bits * 3))
    found = row(*cells, lang="zh", by="vector")
    said = ask(found, code="", question="encoder not calibrated", lang="zh").summary
    assert "故障" in said
    assert not said.endswith("描述")


def test_a_rows_number_goes_without_a_comma() -> None:
    entry = row(("Code", "r7052"), ("Name", "Reply"), ("Description", "Shows fields."))
    below = ["5. | Symbol: N18 | Description: Output"]
    told = ask(msgspec.structs.replace(entry, below=below), code="r7052").text
    assert "5. Symbol: N18, Description: Output [1]" in told
