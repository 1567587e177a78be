"""The profiles of the installer, and the configuration made of them."""

from __future__ import annotations

import pytest

from deploy.setup import configure
from services.limits import limits
from services.runtime.config import parse

pytestmark = pytest.mark.unit

NAMES = ("board-2gb", "board-4gb", "gateway")


def test_the_profiles_are_those_that_are_told_of() -> None:
    assert tuple(configure.profiles()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_makes_a_configuration_that_is_right(name: str) -> None:
    config = parse(configure.configuration(name), name)
    assert config.data == "/var/lib/andon"
    assert config.broker.url == "unix:///run/andon/broker.sock"
    box = configure.profiles()[name]["box"]
    allowed = limits(config, box)
    assert allowed["andon-broker"]["MemoryMax"] == f"{box['broker']['memory_mb']}M"
    assert allowed["andon-retriever"]["MemoryMax"] == f"{config.retriever.budget_mb}M"


@pytest.mark.parametrize(
    ("memory_mb", "name"),
    [(900, "board-2gb"), (1860, "board-2gb"), (3790, "board-4gb"), (7800, "gateway")],
)
def test_the_one_that_fits_the_memory_is_chosen(memory_mb: int, name: str) -> None:
    assert configure.fitting(memory_mb) == name


@pytest.mark.parametrize(("name", "has_mb"), [("board-2gb", 2048), ("board-4gb", 4096)])
def test_what_a_board_may_use_together_is_less_than_it_has(name: str, has_mb: int) -> None:
    config = parse(configure.configuration(name), name)
    most = limits(config, configure.profiles()[name]["box"])
    # A reader of documents works while the model waits, or gives way to it: see OOMScoreAdjust.
    together = [int(m["MemoryMax"].rstrip("M")) for u, m in most.items() if u != "andon-ingest"]
    assert sum(together) < has_mb
