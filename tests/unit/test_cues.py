"""What a sentence gives itself away as."""

from __future__ import annotations

import pytest

from services.orchestrator.cues import is_action, is_cause, is_demand, is_statement, is_step

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "sentence",
    [
        "Check the fan.",
        "When it hums, check the fan.",
        "The fan must be cleaned.",
        "If the light is red, please call the service.",
        "请检查风扇。",
        "检查风扇是否堵塞。",
        "若风扇堵塞，清理风扇。",
        "首先断开电源，然后更换风扇。",
        "更换前必须断开电源。",
    ],
)
def test_steps(sentence: str) -> None:
    assert is_step(sentence)
    assert not is_cause(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no need to restart the drive.",
        "Note: check the fan once a year.",
        "注意：请勿触摸散热片。",
        "报警产生以后，控制器重新开启风扇。",
        "当温度过高时，同时控制器关闭输出。",
        "在没有安装风扇的情况下显示零。",
        "无需检查风扇。",
        "The fan turns.",
        "Range: 0-10",
    ],
)
def test_what_a_machine_does_and_notes_are_no_steps(sentence: str) -> None:
    assert not is_step(sentence)


@pytest.mark.parametrize("run", ["电", "x", "0", "_", "(", ".", "-", " "])
def test_a_sentence_without_end_is_looked_at_once(run: str) -> None:
    # Hours, where each way to part it is tried.
    assert not is_step(run * 20_000)
    assert not is_cause(run * 20_000)
    assert not is_statement(run * 20_000)


@pytest.mark.parametrize(
    "sentence",
    [
        "The trip is caused by a blocked fan.",
        "It occurs when the fan is blocked.",
        "温度超过限值时产生报警。",
        "由于风扇堵塞，温度上升。",
    ],
)
def test_causes(sentence: str) -> None:
    assert is_cause(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "报警产生以后，温度超过限值五秒。",
        "电流以不超过两安为宜。",
        "After the alarm is over it is too late.",
    ],
)
def test_what_follows_a_fault_is_no_cause(sentence: str) -> None:
    assert not is_cause(sentence)


@pytest.mark.parametrize(
    "item",
    [
        "The fan is blocked.",
        "the sensor too far",
        "Hardware error",
        "Blocked-fan protection",
        "No power at terminal 5.",
        "Wrong wiring or poor contact",
    ],
)
def test_an_item_that_only_says_what_is_wrong(item: str) -> None:
    assert is_statement(item)


@pytest.mark.parametrize(
    "item",
    [
        "Clear the fault",
        "Eliminate error",
        "Check whether the fan is blocked.",
        "The fan must be replaced.",
        "Is the fan blocked?",
        "The supply is 24 V ?",
        "No action required",
        "System error, please call the service",
        "Power on again",
        "Use the following tools:",
        "The user can restart it.",
        "Confirm that the fan is running",
        "更换风扇",
    ],
)
def test_a_thing_to_do_is_no_statement(item: str) -> None:
    assert not is_statement(item)


def test_among_causes_only_what_demands_is_to_be_done() -> None:
    assert is_demand("Check the fan")
    assert is_demand("The drive must be powered for 15 min before it can be reset.")
    assert not is_demand("It cannot be reset while the motor is hot")
    assert is_action("风扇应当清理")
