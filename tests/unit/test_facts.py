"""Codes, parameters, values and quantities: one spelling for the same, two for what differs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.facts import facts
from services.orchestrator.quantities import plain

pytestmark = pytest.mark.unit

# What a model says, and what the manual prints.
SAME = [
    ("wait 5 minutes", "等待5分钟"),
    ("等待十分钟", "wait ten minutes"),
    ("half a second", "0,5 s"),
    ("wait forty-five seconds", "45 s"),
    ("等待四十五秒", "45 s"),
    ("等待一百二十秒", "120秒"),
    ("半小时", "half an hour"),
    ("24 V", "２４Ｖ"),
    ("24-V supply", "24 V"),
    ("24 VDC", "24V"),
    ("24伏", "24 volts"),
    ("5千瓦", "五千瓦"),
    ("10-minute wait", "10 min"),
    ("10 kΩ", "10 kohm"),
    ("10 kΩ", "10 千欧"),
    ("10 ㏀", "10 kOhms"),
    ("5 MΩ", "5 megohms"),
    ("5 MΩ", "5兆欧"),
    ("5 MOhm", "5 MΩ"),
    ("5 mΩ", "5毫欧"),
    ("40 ℃", "40°C"),
    ("40 ° C", "40 º C"),
    ("40 degrees Celsius", "40摄氏度"),
    ("40 °C", "40度"),
    ("turn it by 40°", "40 度"),
    ("3 µs", "3 μs"),
    ("3 us", "3微秒"),
    ("10 %", "百分之十"),
    ("10%", "百分之10"),
    ("10 percent", "１０％"),
    ("15 %", "+10/-15 %"),
    ("10 % to 15 %", "10–15 %"),
    ("300 V", "300–400 V"),
    ("300 to 400 V", "300...400V"),
    ("300 V", "300 … 400 V"),
    ("20 V", "10, 20 or 30 V"),
    ("10, 20 or 30 V", "10/20/30 V"),
    ("从10V到20V", "10～20V"),
    ("between 4 and 20 mA", "4-20mA"),
    ("-10 °C to 50 °C", "-10...+50 °C"),
    ("minus 10 °C", "–10 ℃"),
    ("零下10度", "−10 °C"),
    ("24 V ± 2 V", "24 ±2 V"),
    ("22 to 26 V", "22 V to 26 V"),
    ("-2 V", "24 ± 2 V"),
    ("1500 rpm", "1,500 r/min"),
    ("1500 rpm", "1 500 min⁻¹"),
    ("1500 rpm", "1'500转/分"),
    ("1234567 h", "1,234,567 hours"),
    ("200 V", "for 3 200 V motors"),
    ("1.5 kW", "1,5 kW"),
    ("0.0005 s", "0,0005 s"),
    ("0.500 s", "0,500 s"),
    ("8 l/min", "8 litres per minute"),
    ("19200 bit/s", "19200 bps"),
    ("5 r/min/s", "5 r/min/s"),
    ("25 mm²", "25 平方毫米"),
    ("1.2 Nm", "1.2 N·m"),
    ("1.2牛米", "1.2 N m"),
    ("three times", "3次"),
    ("5 V，10 秒", "5V, 10s"),
    ("350 V", "Range: 300–400 | Default: 350 | Unit: V"),
    ("set P4.03 to 1", "P4.03 = 1"),
    ("将P4.03设为1", "P4.03 | 0: off | 1: on"),
    ("P4-03", "Ｐ４．０３"),
    ("E-OC1 and e.oc1", "EOC1"),
    ("E005", "E 005"),
    ("E005", "E0\u200b05"),
    ("P4.02", "P 4.02"),
    ("fault 51", "Code: 51"),
    ("故障51", "代码 51"),
    ("alarm no. 7", "A07 | overload"),
    ("E.OC", "E.OC over-current"),
    ("see fig.3, No.5", "nothing"),
]
OTHER = [
    ("10 °C", "-10 °C"),
    ("-10 °C", "10 °C"),
    ("5 MΩ", "5 mΩ"),
    ("5 mΩ", "5 MΩ"),
    ("5 s", "5 min"),
    ("5 s", "5 ms"),
    ("24 V", "240 V"),
    ("24 V", "2.4 V"),
    ("24 V", "24 A"),
    ("1.5 kW", "15 kW"),
    ("1,500 rpm", "1.5 rpm"),
    ("0.35 kV", "350 V"),
    ("10 m/s", "10 m"),
    ("10 m", "10 m/s"),
    ("24 A", "第24安全门"),
    ("300 V", "E300 | 400 V"),
    ("P4.02", "P40.2"),
    ("P4.02", "P402"),
    ("P4.02", "P4.020"),
    ("E005", "E0051"),
    ("E005", "E05"),
    ("E.OC", "E.OL"),
    ("set P4.03 to 7", "P4.03 = 1"),
    ("将P4.03设为7", "P4.03设为1"),
    ("set it to 7", "wait 70 s"),
    ("code 51", "51 Hz"),
    ("故障51", "51 Hz"),
    ("fault 7", "E005 at 70 Hz"),
    ("ten minutes", "five minutes"),
    ("等待十秒", "等待五秒"),
    ("ten minutes", "ten seconds"),
    ("百分之十", "百分之五"),
]


@pytest.mark.parametrize(("said", "printed"), SAME)
def test_the_same_in_another_spelling_is_the_same(said: str, printed: str) -> None:
    assert facts(printed).lacks(facts(said)) == set()
    if printed != "nothing":
        assert facts(said).all_written(), "otherwise nothing was compared"


@pytest.mark.parametrize(("said", "printed"), OTHER)
def test_another_is_another(said: str, printed: str) -> None:
    assert facts(printed).lacks(facts(said))


@pytest.mark.parametrize(
    "text",
    [
        "两三分钟",
        "two three minutes",
        "一百一",
        "twenty ten seconds",
        "第一安全门",
        "百分之",
        "一次",
    ],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert not facts(text).quantities


UNITS = ["V", "kW", "Hz", "s", "ms", "%", "°C", "℃", "Ω", "kΩ", "MΩ", "mA", "秒", "分钟", "r/min"]
SPELLINGS = {
    "V": ["V", "volts", "伏", "Ｖ"],
    "kΩ": ["kΩ", "kohm", "千欧", "㏀"],
    "MΩ": ["MΩ", "megohm", "兆欧"],
    "mΩ": ["mΩ", "mohm", "毫欧"],
    "°C": ["°C", "℃", "deg C", "摄氏度"],
    "min": ["min", "minutes", "分钟"],
    "s": ["s", "seconds", "秒"],
    "ms": ["ms", "毫秒"],
    "rpm": ["rpm", "r/min", "转/分"],
    "%": ["%", "％", "percent"],
}
numbers = st.decimals(min_value=0, max_value=9999, places=2).map(str)
spaces = st.sampled_from(["", " ", "\u00a0", "\u3000"])
FULL = str.maketrans("0123456789", "０１２３４５６７８９")
named = st.sampled_from(sorted(SPELLINGS))


def spelled(draw: st.DrawFn, number: str, unit: str) -> str:
    """Return a quantity in some spelling."""
    if draw(st.booleans()):
        number = number.replace(".", ",")
    if draw(st.booleans()):
        number = number.translate(FULL)
    return number + draw(spaces) + draw(st.sampled_from(SPELLINGS[unit]))


@given(st.data(), numbers, named)
def test_no_spelling_matters(data: st.DataObject, number: str, unit: str) -> None:
    printed = facts(f"电压{spelled(data.draw, number, unit)}，不变")  # type: ignore[arg-type]
    said = facts(f"it is {spelled(data.draw, number, unit)}.")  # type: ignore[arg-type]
    assert said.quantities
    assert printed.lacks(said) == set()


@given(st.data(), numbers, numbers, named, named)
def test_no_other_quantity_passes(
    data: st.DataObject, one: str, other: str, unit: str, another: str
) -> None:
    printed = facts(f"Wait: {spelled(data.draw, one, unit)} at most")  # type: ignore[arg-type]
    said = facts(f"wait {spelled(data.draw, other, another)}")  # type: ignore[arg-type]
    same = (plain(one), unit) == (plain(other), another)
    assert (printed.lacks(said) == set()) == same


@given(low=st.integers(1, 999), more=st.integers(1, 999), unit=st.sampled_from(UNITS))
@pytest.mark.parametrize("sign", ["-", "–", "~", " to ", "...", "/", "至", " ± "])
def test_both_ends_of_a_range_have_its_unit(low: int, more: int, sign: str, unit: str) -> None:
    printed = facts(f"from {low}{sign}{low + more} {unit}")
    for number in (low, low + more):
        assert printed.lacks(facts(f"{number} {unit}")) == set()
    assert printed.lacks(facts(f"{low + more + 1} {unit}"))


@given(st.text(min_size=1, max_size=120))
def test_a_passage_supports_its_own_words(words: str) -> None:
    assert facts(words).lacks(facts(words)) == set()


@given(
    st.lists(
        st.sampled_from(
            [
                "1",
                "20",
                ".",
                ",",
                "-",
                " ",
                "V",
                "kΩ",
                "M",
                "±",
                "to",
                "E",
                "P",
                "十",
                "百",
                "分钟",
                "|",
            ]
        ),
        max_size=24,
    ).map("".join)
)
def test_signs_and_numbers_in_any_order_support_themselves(words: str) -> None:
    assert facts(words).lacks(facts(words)) == set()


@pytest.mark.parametrize(
    "piece",
    ["1 ", "1,", "1", "1-", "a1.", "twenty ", "十", "1 V ", "1/", "E.", "± ", "to 1 ", "code "],
)
def test_no_text_costs_more_than_its_length(piece: str) -> None:
    def cost(length: int) -> float:
        spent = []
        for _ in range(3):
            before = time.process_time()
            facts((piece * length)[:length])
            spent.append(time.process_time() - before)
        return min(spent)

    # Eight times the text: 64 times the cost where it grows with the square.
    assert cost(16_000) < 24 * max(cost(2_000), 0.0005)
