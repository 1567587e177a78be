"""A model's file, told from another under the same name."""

from __future__ import annotations

import pytest

from services.llm_bridge.identity import LoadedFile

pytestmark = pytest.mark.unit

PATH = "/models/phi.gguf"


def test_a_file_that_is_replaced_is_another_once_and_again_when_the_server_started() -> None:
    file = LoadedFile()
    first = file.mark(PATH, "10:1", started=True)
    assert file.mark(PATH, "10:1", started=False) == first
    unsure = file.mark(PATH, "10:2", started=False)
    assert unsure == file.mark(PATH, "10:2", started=False)
    second = file.mark(PATH, "10:2", started=True)
    assert len({first, unsure, second}) == 3
    assert file.mark(PATH, "10:1", started=True) == first, "the former one is back"


def test_it_is_told_that_another_file_lies_in_its_place() -> None:
    file = LoadedFile()
    seen = []
    for now, started in [("10:1", True), ("10:2", False), ("", False), ("10:2", True)]:
        file.mark(PATH, now, started=started)
        seen.append(file.replaced)
    assert seen == [False, True, False, False]


def test_what_the_server_began_with_counts_more_than_what_is_seen_first() -> None:
    file = LoadedFile()
    unsure = file.mark(PATH, "10:2", started=True, known="10:1")
    assert (file.replaced, unsure) == (True, "10:1 or 10:2")
    assert file.mark(PATH, "10:2", started=False, known="10:2") == "10:2"
    assert not file.replaced


def test_a_stick_that_is_pulled_changes_nothing() -> None:
    file = LoadedFile()
    first = file.mark(PATH, "10:1", started=True)
    assert file.mark(PATH, "", started=False) == first
    assert file.mark(PATH, "", started=True) == first
    assert file.mark(PATH, "10:1", started=False) == first


def test_another_path_is_another_file() -> None:
    file = LoadedFile()
    file.mark(PATH, "10:1", started=True)
    assert file.mark("/models/qwen.gguf", "", started=False) == ""
    assert file.mark("/models/qwen.gguf", "10:3", started=False) == "10:3"


def test_a_file_that_is_seen_later_is_the_one_that_was_read() -> None:
    file = LoadedFile()
    assert file.mark(PATH, "", started=True) == ""
    assert file.mark(PATH, "10:1", started=False) == "10:1"
