"""What a question asks for as a code, and what is only a machine's name in it."""

from __future__ import annotations

import pytest

from schemas.retrieval import Search
from services.retriever.asked import codes_asked

pytestmark = pytest.mark.unit


def asked(question: str) -> dict[str, bool]:
    return {c.canonical: c.asked for c in codes_asked(Search(question=question), ()) if c.certain}


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("KX417", "KX417"),
        ("what does KX417 mean?", "KX417"),
        ("the drive reports KX417 while it runs up", "KX417"),
        ("fault KX417 on the second line", "KX417"),
        ("变频器报KX417，电机不转", "KX417"),
        ("the spindle does not start and I see F30002 at times", "F30002"),
        ("drive C01711 tripped while starting", "C01711"),
        ("SKF8000 ERR99", "ERR99"),
        ('plant/motor7/fault {"code":"E999"}', "E999"),
    ],
)
def test_a_code_is_asked_for(question: str, code: str) -> None:
    assert asked(question)[code]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("how do I reset the drive on conveyor B412 in hall two", "B412"),
        ("machine KX417: the motor hums and does not turn", "KX417"),
        ("[ticket T20231] brake resistor gets hot after an hour", "T20231"),
        ("生产线KX417的电机过热，需要检查哪些部件", "KX417"),
    ],
)
def test_a_machine_s_name_is_not(question: str, name: str) -> None:
    assert not asked(question).get(name, False)
