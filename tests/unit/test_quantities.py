"""Quantities in a question, and which passages have just them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.quantities import LATER, MOST, quantities
from services.retriever.tokens import tokens

pytestmark = pytest.mark.unit


def share(question: str, text: str) -> float:
    (asked,) = quantities(question)
    return asked.share(f" {' '.join(tokens(text))} ")


@pytest.mark.parametrize(
    "asked", ["75KW", "75 kW", "75kw变频器", "75千瓦", "75 千瓦的电机", "75000 W"]
)
@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("Power: 75 kW", 1.0),
        ("Power: 75KW", 1.0),
        ("功率: 75千瓦", 1.0),
        ("Size: 75KWT4 | Resistor: 7.5 kW", 1.0),
        ("Power (kW): 75 | Current (A): 150", 1.0),
        ("额定功率(kw): 75/93", 1.0),
        ("额定功率(kw): 55/75", LATER),
        ("Size: 750KW | Resistor: 75 kW", LATER),
        ("Power: 7.5 kW", 0.0),
        ("Power: 0.75 kW", 0.0),
        ("Power: 175 kW", 0.0),
        ("Power: 75 W", 0.0),
        ("Current: 75 A | Power: 15 kW", 0.0),
        ("Power: 15 kW 75 pieces", 0.0),
    ],
)
def test_a_number_with_its_unit_is_one_thing(asked: str, text: str, there: float) -> None:
    assert share(asked, text) == there


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("0.75KW", "750 W"),
        ("380V", "380伏电压"),
        ("100 mA", "0.1 A"),
        ("50 Hz", "50HZ"),
        ("2.2 kW", "Power (KW): 2.2"),
        ("40V", "直流 40V~100V 电源"),
        ("20 amps", "20A fuse"),
    ],
)
def test_one_quantity_however_it_is_written(asked: str, text: str) -> None:
    assert share(asked, text) == 1.0


@pytest.mark.parametrize(
    "question",
    ["JK-B5A24S-60P 过温", "SKF8000 OC", "fault 18", "p0-17 acceleration", "75", "24S"],
)
def test_names_and_bare_numbers_are_none(question: str) -> None:
    assert quantities(question) == []


@given(
    st.text("0123456789.,kKWwVvA 千瓦伏安x", max_size=60), st.text("0123456789.kwva ", max_size=60)
)
def test_quantities_are_few_and_shares_stay_in_range(question: str, text: str) -> None:
    found = quantities(question)
    assert len(found) <= MOST
    assert all(one.share(f" {text} ") in (0.0, LATER, 1.0) for one in found)
