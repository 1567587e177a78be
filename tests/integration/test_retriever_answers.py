"""What the retriever finds for whom: products, languages, typing errors, and when it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from schemas.retrieval import DocumentRef, Field, Found, Passage
from tests.support.retriever import Asker, retriever

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions wait for their vectors, however busy the machine."""
    monkeypatch.setattr("services.retriever.meaning.EMBED_S", 60.0)


def ref(doc_id: str, title: str, assets: tuple[str, ...] = ()) -> DocumentRef:
    return DocumentRef(
        doc_id=doc_id, revision=1, title=title, file=f"{doc_id}.pdf", assets=list(assets)
    )


def rows(*faults: tuple[str, str, str]) -> list[Passage]:
    """Rows of a list of faults: code, name, remedy."""
    found = []
    for ordinal, (code, name, remedy) in enumerate(faults):
        fields = [Field("Fault code", code), Field("Name", name), Field("Remedy", remedy)]
        text = " | ".join(f"{field.name}: {field.value}" for field in fields)
        found.append(
            Passage(ordinal=ordinal, page=ordinal + 1, kind="row", text=text, fields=fields)
        )
    return found


def texts(*words: str) -> list[Passage]:
    return [Passage(ordinal=n, page=n + 1, text=text) for n, text in enumerate(words)]


KELVARN = rows(
    ("E005", "DC bus undervoltage", "check the mains supply"),
    ("E013", "Heat sink overtemperature", "clean the fan"),
    ("E014", "Encoder cable broken", "replace the encoder cable"),
)
BRUNTEC = rows(
    ("E005", "Oil level too low", "fill up the oil tank"),
    ("E077", "Suction valve stuck", "open the suction valve"),
)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Asker]:
    """Two manuals that give one code different meanings."""
    async with retriever(tmp_path) as asker:
        await asker.add(ref("kelvarn", "Kelvarn FD40 inverter", ("hall/drive",)), KELVARN)
        await asker.add(ref("bruntec", "Bruntec PX9 pump", ("hall/pump",)), BRUNTEC)
        yield asker


def documents(found: Found) -> list[str]:
    return [hit.document.doc_id for hit in found.hits]


@pytest.mark.parametrize(
    ("question", "manual"),
    [
        ("What does E005 mean on the Kelvarn FD40?", "kelvarn"),
        ("What does E005 mean on the Bruntec PX9?", "bruntec"),
        ("PX9 报 E005 怎么办", "bruntec"),
        ("FD40 报 E005 怎么办", "kelvarn"),
        ("e 005 fault, FD40 drive", "kelvarn"),
    ],
)
async def test_the_product_in_the_question_decides_what_a_code_means(
    two: Asker, question: str, manual: str
) -> None:
    found = await two.search(question)
    assert found.hits[0].document.doc_id == manual
    assert found.hits[0].by == "code"
    assert "E005" in found.hits[0].passage.text
    assert found.unknown_codes == []


@pytest.mark.parametrize(
    "question",
    [
        "Next to the Bruntec PX9: what does E014 mean?",
        "the inverter beside the Bruntec PX9 shows E014",
        "On conveyor B417: what does E014 mean?",
        "Bruntec泵旁边的变频器报E014",
    ],
)
async def test_names_of_the_place_do_not_weigh_against_an_answer(two: Asker, question: str) -> None:
    found = await two.search(question)
    assert (documents(found)[0], found.unknown_codes) == ("kelvarn", [])


SIZES = [
    Passage(
        ordinal=n, page=1, kind="row", section="Braking resistors",
        text=f"Inverter: {size}KWT4 | Resistor power: {power} | Resistance: {n + 3} ohm",
        fields=[
            Field("Inverter", f"{size}KWT4"), Field("Resistor power", power),
            Field("Resistance", f"{n + 3} ohm"),
        ],
    )
    for n, (size, power) in enumerate(
        [("0.75", "80 W"), ("7.5", "750 W"), ("15", "1.5 kW"), ("75", "7.5 kW"), ("750", "75 kW")]
    )
]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "size"),
    [
        ("75KW braking resistor", "75KWT4"),
        ("which braking resistor for 7.5 kW", "7.5KWT4"),
        ("braking resistor of the 0.75 kw drive", "0.75KWT4"),
        ("75千瓦 制动电阻", "75KWT4"),
    ],
)
async def test_the_row_of_the_size_that_is_asked_comes_first(
    tmp_path: Path, question: str, size: str
) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref("sizes", "Kelvarn sizes"), SIZES)
        found = await asker.search(question)
        assert found.hits[0].passage.fields[0].value == size


@pytest.mark.parametrize(
    "question", ["VX9 restore factory settings", "VX9 怎么恢复出厂设置", "Restore VX9 settings"]
)
async def test_the_product_in_the_question_counts_more_than_the_words_of_other_titles(
    two: Asker, question: str
) -> None:
    own = texts("Set P0-10 to 1 to restore the parameters.", "恢复默认值：P0-10 = 1。")
    await two.add(ref("vantrex", "Vantrex VX9 lift"), own)
    told = texts("Restore the factory settings with the key MENU.", "恢复出厂设置：按 MENU 键。")
    await two.add(ref("other", "Restore factory settings, 恢复出厂设置"), told)
    found = await two.search(question)
    assert documents(found)[0] == "vantrex"


async def test_without_a_product_both_meanings_are_found(two: Asker) -> None:
    assert set(documents(await two.search("What does E005 mean?"))) == {"kelvarn", "bruntec"}


async def test_a_code_the_named_product_has_not_is_unknown_with_those_near_it(two: Asker) -> None:
    found = await two.search("What does E015 mean on the Kelvarn FD40?")
    assert (found.hits, found.unknown_codes) == ([], ["E015"])
    assert "E014" in found.near["E015"]
    # Another maker's meaning of a code is no answer.
    others = await two.search("What does E077 mean on the Kelvarn FD40?")
    assert (others.hits, others.unknown_codes) == ([], ["E077"])
    assert "E077" not in others.near.get("E077", [])
    assert documents(await two.search("What does E077 mean?"))[0] == "bruntec"


async def test_an_assets_manual_goes_first_and_a_widened_search_says_so(two: Asker) -> None:
    own = await two.search("fault E005", asset="hall/pump")
    assert (own.scope, set(documents(own))) == ("asset", {"bruntec"})
    # Words alone are no answer to a code that the asset's manual has not.
    for question in ("fault E013", "fault E013: open the suction valve?"):
        widened = await two.search(question, asset="hall/pump")
        assert (widened.scope, documents(widened)[0]) == ("widened", "kelvarn")
    nowhere = await two.search("fault E099", asset="hall/pump")
    assert (nowhere.scope, nowhere.hits, nowhere.unknown_codes) == ("widened", [], ["E099"])


async def test_a_widened_search_knows_the_meaning_too(tmp_path: Path) -> None:
    async with retriever(tmp_path, sure=0.0) as asker:
        await asker.add(ref("valve", "Valve", ("hall/valve",)), rows(("F1", "Valve stuck", "open")))
        await asker.add(ref("fan", "Guide"), texts("If it becomes too hot, clean the fan filter."))
        found = await asker.search("ventilator overheating dirt", asset="hall/valve")
        assert (found.scope, documents(found)) == ("widened", ["fan"])
        assert found.hits[0].score > 0.3


# -- languages --------------------------------------------------------------------------------


async def test_a_question_finds_the_manual_of_the_other_language(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        english = texts(
            "Set the acceleration time before the first start.",
            "Measure the insulation resistance of the motor cable.",
        )
        chinese = texts("制动电阻过热时，请检查制动单元。", "更换冷却风扇前，请断开电源。")
        await asker.add(ref("en", "Guide one"), english)
        await asker.add(ref("zh", "Guide two"), chinese)
        for question, document, page in [
            ("加速时间怎么设置", "en", 1),
            ("如何测量电机电缆的绝缘电阻", "en", 2),
            ("braking resistor overheating", "zh", 1),
            ("how do I replace the cooling fan", "zh", 2),
        ]:
            found = await asker.search(question)
            assert found.hits, question
            first = found.hits[0]
            assert (first.document.doc_id, first.passage.page) == (document, page), question


async def test_the_plants_own_words_count_beside_ours_and_a_bad_line_is_told(
    tmp_path: Path,
) -> None:
    manual = texts("Grease the zorblat every month.", "The mains filter is behind the door.")
    async with retriever(tmp_path / "without") as asker:
        await asker.add(ref("m", "Guide"), manual)
        assert (await asker.search("wuggle pinion")).hits == []
        assert asker.health.reason == ""
    folder = tmp_path / "with"
    folder.mkdir()
    lines = "wuggle pinion, zorblat | 佐布\nalone\nfrob cover, mains filter\n"
    (folder / "lexicon.txt").write_text(lines, encoding="utf-8")
    async with retriever(folder) as asker:
        await asker.add(ref("m", "Guide"), manual)
        for question, page in (("wuggle pinion", 1), ("佐布怎么加油", 1), ("frob cover", 2)):
            found = await asker.search(question)
            assert [hit.passage.page for hit in found.hits][:1] == [page], question
        # Ours are there as well.
        assert (await asker.search("电源滤波器")).hits[0].passage.page == 2
        assert "lexicon.txt:2" in asker.health.reason
        assert "the other lines hold" in asker.health.reason


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("how do I set the accelaration time", 1),
        ("set the acceleraton tiem", 1),
        ("insulaton resistance of the cable", 2),
        ("replace the breaking resistr", 3),
    ],
)
async def test_typing_errors_are_forgiven(tmp_path: Path, typed: str, page: int) -> None:
    async with retriever(tmp_path) as asker:
        manual = texts(
            "Set the acceleration time before the first start.",
            "Measure the insulation resistance of the motor cable.",
            "Replace the braking resistor when its housing is discoloured.",
        )
        await asker.add(ref("m", "Guide"), manual)
        found = await asker.search(typed)
        assert [hit.passage.page for hit in found.hits][:1] == [page]


WINCH = [
    Passage(
        ordinal=n, page=n + 1, kind="row", lang="zh",
        text=f"故障名称: {name} | 故障原因: {cause} | 处理对策: {remedy}",
        fields=[Field("故障名称", name), Field("故障原因", cause), Field("处理对策", remedy)],
    )
    for n, (name, cause, remedy) in enumerate(
        [
            ("卷筒过电流", "负载太重", "减轻负载"),
            ("母线过电压", "下放太快", "加装制动电阻"),
            ("母线欠电压", "电源太低", "检查电源"),
        ]
    )
]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "page"),
    [("overcurent", 1), ("overvoltge", 2), ("undervoltge", 3), ("over votlage while lowering", 2)],
)
async def test_a_mistyped_word_has_the_names_of_the_word_that_was_meant(
    tmp_path: Path, typed: str, page: int
) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref("winch", "卷扬机手册"), WINCH)
        found = await asker.search(typed)
        assert [hit.passage.page for hit in found.hits][:1] == [page]


async def test_a_word_that_some_passage_has_is_not_put_right(tmp_path: Path) -> None:
    async with retriever(tmp_path) as asker:
        await asker.add(ref("m", "Guide"), texts("The votlage relay is green.", "Voltage: 5 V."))
        found = await asker.search("green votlage relay")
        assert [hit.passage.page for hit in found.hits][:1] == [1]


# -- refusing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        "How do I bake a chocolate cake?",
        "who won the world cup in 1998",
        "怎么做红烧肉",
        "谁赢得了世界杯",
        "how do I connect the FD40 to PROFINET",
        "FD40 怎么接 EtherCAT",
    ],
)
async def test_what_the_manuals_do_not_answer_finds_nothing(two: Asker, question: str) -> None:
    assert (await two.search(question)).hits == []


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("undervoltage", 1),
        ("DC bus undervoltage", 1),
        ("the encoder", 3),
        ("欠压", 1),
        ("过热", 2),
        ("broken encoder cable", 3),
    ],
)
@pytest.mark.parametrize("others", [0, 60])
async def test_a_word_or_two_are_a_question_whatever_the_size_of_the_library(
    tmp_path: Path, question: str, page: int, others: int
) -> None:
    async with retriever(tmp_path) as asker:
        more = texts(
            *(f"Spare part {n} stands in rack {n % 7} of room {n}." for n in range(others))
        )
        await asker.add(ref("kelvarn", "Kelvarn FD40 inverter"), KELVARN)
        if more:
            await asker.add(ref("stock", "Stock list"), more)
        found = await asker.search(question)
        assert [hit.passage.page for hit in found.hits][:1] == [page]
        assert found.hits[0].document.doc_id == "kelvarn"


async def test_a_quote_is_found_though_it_looks_like_codes_nobody_has(tmp_path: Path) -> None:
    quote = "at A 1000 F 3000 P 44"
    async with retriever(tmp_path) as asker:
        await asker.add(ref("kelvarn", "Kelvarn FD40 inverter"), KELVARN)
        await asker.add(ref("list", "List"), texts(f"measured {quote} in the field"))
        found = await asker.search(quote)
        assert (documents(found)[0], found.hits[0].score) == ("list", 1.0)


async def test_near_misses_are_offered_for_a_code_that_bytes_of_a_frame_spell(two: Asker) -> None:
    await two.add(ref("frames", "Servo protocol"), texts("Send e0 f6 10 E6 and wait."))
    found = await two.search("fault E006: the suction valve is stuck?", asset="hall/pump")
    assert (found.hits, found.unknown_codes) == ([], ["E006"])
    assert found.near["E006"][0] == "E005"


async def test_near_misses_are_offered_where_a_mention_answers_nothing(two: Asker) -> None:
    await two.add(ref("frames", "Servo protocol"), texts("Answers end with E015 E0 E1."))
    found = await two.search("E015 gearbox of the crane lost all its oil overnight, whom to call")
    assert (found.hits, found.unknown_codes) == ([], ["E015"])
    assert "E014" in found.near["E015"]


PROTOCOL = [
    Passage(
        ordinal=0,
        page=6,
        section="2 Inquiry > 2.9 QXGS<cr>: General status inquiry",
        text="2.9 QXGS<cr>: General status inquiry\nComputer: QXGS<CRC><cr>\nDevice: (NNN NN<cr>",
    ),
    *texts("2.1 QXPI<cr>: Protocol inquiry", "Thank you for choosing us. Press F1 for help."),
]


@pytest.mark.parametrize(
    ("question", "manual", "word"),
    [
        ("inverter undervoltage", "kelvarn", "undervoltage"),
        ("变频器欠压", "kelvarn", "undervoltage"),
        ("u.v. of the inverter", "kelvarn", "undervoltage"),
        ("what does QXGS return", "proto", "QXGS"),
        ("QXGS 返回什么", "proto", "QXGS"),
        ("fd 40 encoder cable", "kelvarn", "Encoder"),
    ],
)
async def test_the_machine_and_what_only_asks_do_not_stand_in_the_way(
    two: Asker, question: str, manual: str, word: str
) -> None:
    await two.add(ref("proto", "Serial protocol"), [*PROTOCOL[:1], *_after(PROTOCOL[1:])])
    found = await two.search(question)
    assert found.hits[0].document.doc_id == manual
    assert word in found.hits[0].passage.text


@pytest.mark.parametrize(
    "question", ["help", "help me", "thanks", "why", "who invented the encoder", "alarm 1"]
)
async def test_what_is_no_question_to_a_manual_finds_nothing(two: Asker, question: str) -> None:
    await two.add(ref("proto", "Serial protocol"), [*PROTOCOL[:1], *_after(PROTOCOL[1:])])
    found = await two.search(question)
    assert found.hits == []


def _after(passages: list[Passage]) -> list[Passage]:
    """Passages behind one."""
    return [msgspec.structs.replace(one, ordinal=n) for n, one in enumerate(passages, 1)]


async def test_a_maker_nobody_has_is_told_with_the_code_others_have(two: Asker) -> None:
    found = await two.search("Zentrix E077")
    assert found.hits == []
    assert found.unknown_codes == ["Zentrix E077"]
    assert found.near == {"Zentrix E077": ["E077"]}
    # A machine of the plant is no maker.
    assert documents(await two.search("Palletizer E077")) == ["bruntec"]
    assert documents(await two.search("Bruntec E077"))[0] == "bruntec"


async def test_a_number_is_answered_from_rows_of_faults_alone(two: Asker) -> None:
    fields = [
        [Field("No.", str(n)), Field("Parameter", "delay"), Field("Default", "3")] for n in (7, 8)
    ]
    found = [
        Passage(
            ordinal=n,
            kind="row",
            text=" | ".join(f"{field.name}: {field.value}" for field in cells),
            fields=cells,
        )
        for n, cells in enumerate(fields)
    ]
    await two.add(ref("table", "Battery guard"), found)
    for question in ("alarm 7", "报警7", "7"):
        nothing = await two.search(question)
        assert nothing.hits == []
        assert nothing.unknown_codes == ["7"]


def listing(kind: str, last: int) -> list[Passage]:
    """A list that counts from 1."""
    found = []
    for n in range(1, last + 1):
        fields = [Field(f"{kind} code", str(n)), Field("Message", f"{kind} message {n}")]
        text = " | ".join(f"{field.name}: {field.value}" for field in fields)
        found.append(Passage(ordinal=n - 1, kind="row", text=text, fields=fields))
    return found


async def test_where_a_manual_lists_alarms_and_errors_apart_the_word_tells_which(
    two: Asker,
) -> None:
    for doc_id, kind, last in (("mill_alarms", "Alarm", 10), ("mill_errors", "Error", 24)):
        of_mill = msgspec.structs.replace(
            ref(doc_id, doc_id, ("hall/mill",)), file=f"mills/mill/lists/{doc_id}.csv"
        )
        await two.add(of_mill, listing(kind, last))
    await two.add(ref("saw", "Saw", ("hall/saw",)), listing("Error", 24))
    for asked, near in (("ALARM:11", "10"), ("alarm 12", "10"), ("报警22", "2")):
        found = await two.search(asked, asset="hall/mill")
        assert (found.hits, found.unknown_codes) == ([], [asked[-2:]])
        assert found.near[asked[-2:]][0] == near
    for asked, doc_id in (("alarm 9", "alarms"), ("error 9", "errors"), ("err 12", "errors")):
        found = await two.search(asked, asset="hall/mill")
        assert ({*documents(found)}, found.unknown_codes) == ({f"mill_{doc_id}"}, [])
    both = await two.search("9", asset="hall/mill")
    assert {*documents(both)} == {"mill_alarms", "mill_errors"}
    # A machine's report calls every number a fault.
    for doc_id, kind, last in (("lathe_f", "Fault", 10), ("lathe_w", "Warning", 24)):
        of_lathe = msgspec.structs.replace(
            ref(doc_id, doc_id, ("hall/lathe",)), file=f"mills/lathe/lists/{doc_id}.csv"
        )
        await two.add(of_lathe, listing(kind, last))
    reported = await two.search("Fault 22", code="22", asset="hall/lathe")
    assert (documents(reported), reported.unknown_codes) == (["lathe_w"], [])
    assert (await two.search("fault 22", asset="hall/lathe")).unknown_codes == ["22"]
    # One list by whichever name answers.
    for asked in ("alarm 11", "fault 11", "error 11", "报警11"):
        assert documents(await two.search(asked, asset="hall/saw"))[0] == "saw"


async def test_each_of_two_codes_has_its_entry_first_in_the_order_asked(two: Asker) -> None:
    await two.add(ref("saw", "Saw", ("hall/saw",)), listing("Fault", 12))

    def first(found: Found) -> list[str]:
        return [hit.passage.fields[0].value for hit in found.hits[:2]]

    for asked, cells in (
        ("E005 E014", ["E005", "E014"]),
        ("E014 and E013 on the kelvarn", ["E014", "E013"]),
    ):
        found = await two.search(asked, asset="hall/drive")
        assert (first(found), found.unknown_codes) == (cells, [])
    for asked in ("fault code 7 and 5", "fault 7, 5", "故障7和5", "故障7、5怎么处理"):
        found = await two.search(asked, asset="hall/saw")
        assert (first(found), found.codes) == (["7", "5"], ["7", "5"])
    unknown = await two.search("fault 7 and 31", asset="hall/saw")
    assert (first(unknown)[0], unknown.unknown_codes) == ("7", ["31"])
    for asked in ("fault 7 and 5 seconds later", "fault 7 and 5 motors stop"):
        assert (await two.search(asked, asset="hall/saw")).codes == ["7"]


async def test_a_letter_for_the_last_zero_is_forgiven(two: Asker) -> None:
    await two.add(ref("press", "Press"), rows(("ERR10", "Ram jammed", "lift the ram")))
    for typed in ("ERR10", "ERR1O", "err1O"):
        found = await two.search(typed)
        assert (documents(found), found.codes, found.unknown_codes) == (["press"], ["ERR10"], [])


async def test_a_number_means_nothing_outside_its_own_machine(two: Asker) -> None:
    """Each list counts from 1: what another machine has under a number is never told."""
    hoist = rows(
        ("5", "Rope slack", "wind up the rope"), ("10", "Drive overload", "lower the load")
    )
    await two.add(ref("hoist", "Hoist"), hoist)
    guide = texts(
        "The guard reports a discharge overcurrent alarm and opens the output. It closes again "
        "after the release time.",
        "Store the battery in a dry room.",
    )
    await two.add(ref("guard", "Cell guard", ("hall/guard",)), guide)
    assert documents(await two.search("fault 10")) == ["hoist"]
    for question, code in (("10", "10"), ("故障10", ""), ("Er 10", ""), ("fault 10", "")):
        nothing = await two.search(question, code=code, asset="hall/guard")
        assert (nothing.hits, nothing.scope) == ([], "asset")
        assert nothing.unknown_codes in (["10"], ["Er10"])
    told = await two.search("Fault 5: discharge overcurrent alarm", code="5", asset="hall/guard")
    assert (documents(told)[0], told.unknown_codes) == ("guard", ["5"])
    assert told.hits[0].passage.text.startswith("The guard reports")
    # A machine without manuals, and codes that say more, are looked for everywhere.
    assert documents(await two.search("fault 10", asset="hall/other")) == ["hoist"]
    assert documents(await two.search("fault E013", asset="hall/guard"))[0] == "kelvarn"


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("e077 on the kelvarn", "E077"),
        ("kelvarn e077", "E077"),
        ("kelvran e077", "E077"),
        ("Fanuc E077", "Fanuc E077"),
        ("发那科报警 E077", "发那科 E077"),
        ("fanux alarm E077", "fanux E077"),
    ],
)
async def test_what_another_maker_means_by_a_code_is_no_answer(
    two: Asker, question: str, unknown: str
) -> None:
    found = await two.search(question)
    assert found.hits == []
    assert found.unknown_codes == [unknown]


async def test_a_maker_is_known_by_what_its_manual_says_first(two: Asker) -> None:
    told = texts("Made by Yaskawa.", *(f"Page {n} of the servo." for n in range(30)))
    (jam,) = rows(("E021", "Jam", "free it"))
    jam = msgspec.structs.replace(jam, ordinal=len(told))
    await two.add(ref("servo", "Servo drive"), [*told, jam])
    hall = ("Pump hall.",) * 30
    await two.add(ref("cell", "Cell plan"), texts(*hall, "A Fanuc robot lifts.", *hall))
    assert documents(await two.search("yaskawa E021"))[:1] == ["servo"]
    assert (await two.search("yaskawa E077")).unknown_codes == ["E077"]
    # In the midst of a plan it is spoken of, no more.
    assert (await two.search("Fanuc E077")).unknown_codes == ["Fanuc E077"]
    beside = await two.search("In the hall of the Fanuc robot: pump shows E077")
    assert documents(beside)[:1] == ["bruntec"]


async def test_words_of_titles_that_others_use_name_no_product(two: Asker) -> None:
    await two.add(ref("quick", "Quick leaflet"), texts("This leaflet tells how to mount it."))
    await two.add(ref("other", "Mounting"), texts("Keep this leaflet beside the pump."))
    assert documents(await two.search("leaflet E077"))[0] == "bruntec"


async def test_zeros_left_out_are_told_as_the_manual_writes_them(two: Asker) -> None:
    await two.add(ref("drive", "Drive"), rows(("A04410", "Fan", "clean it"), ("F1", "Wire", "-")))
    found = await two.search("A4410")
    assert (documents(found)[0], found.codes) == ("drive", ["A04410"])
    assert (await two.search("F01")).unknown_codes == []
    assert (await two.search("F00001")).unknown_codes == ["F00001"]


@pytest.mark.parametrize("question", ["E 0 0 5", "Ｅ ０ ０ ５ 报警", "E r r 1 8", "$ 27"])
async def test_codes_that_were_parted_are_found(two: Asker, question: str) -> None:
    lists = rows(("Err18", "Sensor", "change it"), ("$27", "Pull-off", "set it"))
    await two.add(ref("lists", "Lists"), lists)
    assert (await two.search(question)).hits[0].by == "code"


async def test_the_bits_below_a_word_come_with_it(tmp_path: Path) -> None:
    word = Passage(
        ordinal=0,
        kind="entry",
        section="r7052 Status word",
        text="r7052 Status word\nDescription: Shows bits.",
        fields=[Field("Code", "r7052"), Field("Name", "Status word")],
    )
    bits = [
        Passage(
            ordinal=n,
            kind="row",
            section="r7052 Status word",
            text=f"Bit: {n:02} | Signal name: Signal {n}",
            fields=[Field("Bit", f"{n:02}"), Field("Signal name", f"Signal {n}")],
        )
        for n in range(1, 9)
    ]
    async with retriever(tmp_path) as asker:
        await asker.add(ref("kelvarn", "Kelvarn FD40", ("hall/drive",)), [word, *bits])
        found = await asker.search("what does r7052 mean", asset="hall/nosuch")
    assert found.hits[0].below == [bit.text for bit in bits]
    assert (found.nobody, found.known) == (["asset"], ["hall/drive"])
