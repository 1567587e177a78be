"""A name beside a code."""

from __future__ import annotations

import pytest

from services.retriever.strangers import beside

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("question", "code", "name"),
    [
        ("Zentrix F33", "F33", "Zentrix"),
        ("Foobar 3000 error 22", "22", "Foobar 3000"),
        ("E5 on a Kollmorg", "E5", "Kollmorg"),
        ("Zentrix drive fault E07", "E07", "Zentrix"),
        ("Zentrix 变频器报 E07", "E07", "Zentrix"),
        ("Palletizer F33", "F33", ""),
        ("the hoist shows F33", "F33", ""),
        ("F33 at standstill", "F33", ""),
        ("F33", "F33", ""),
    ],
)
def test_the_name_beside_a_code(question: str, code: str, name: str) -> None:
    start = question.index(code)
    assert beside(question, start, start + len(code)) == name
