"""Which of a machine's alarms its one retained topic should hold."""

from __future__ import annotations

import random

import pytest

from services.orchestrator.effects import Publish
from services.orchestrator.standing import on_top
from tests.support.alarm_line import Line

pytestmark = pytest.mark.unit

CODES = {"E1": "critical", "E2": "warning", "E3": "warning", "E4": "advice"}


@pytest.mark.parametrize("seed", range(200))
def test_it_is_the_one_that_was_retained_last(seed: int) -> None:
    dice = random.Random(seed)
    line = Line(chatter_transitions=100, chatter_window_s=1e6, take_back_s=1e6)
    published = None
    for at in range(1, 41):
        code = dice.choice(list(CODES))
        act = line.off if dice.random() < 0.4 else line.on
        for effect in act(float(at), code, priority=CODES[code]):
            if isinstance(effect, Publish) and effect.retain:
                published = effect.alarm
        found = [line.board.get("plant/motor7", code) for code in CODES]
        standings = [one for one in found if one]
        if published is not None:
            assert on_top(standings).alarm == published
