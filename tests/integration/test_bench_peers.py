"""What the benchmark gives to Andon's peers, and that one it cannot have gets no number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import peers, quality, reading_sets
from tests.bench.chunks import OVERLAP, SIZE, Cutter
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.integration

CUTTER = Cutter()
word = st.sampled_from(["fault", "E005", "电机", "(", "overvoltage", "\n", "12.5 Nm"])


@given(st.lists(st.lists(word, max_size=400), min_size=1, max_size=6))
def test_chunks_hold_every_word_of_every_page(pages: list[list[str]]) -> None:
    given_pages = [(n, " ".join(words)) for n, words in enumerate(pages, start=1)]
    chunks = list(CUTTER.chunks("a.pdf", given_pages))
    for page, text in given_pages:
        for one in text.split():
            assert any(one in chunk.text for chunk in chunks if page in chunk.pages), (page, one)
    assert all(list(chunk.pages) == sorted(chunk.pages) for chunk in chunks)


def test_a_chunk_begins_in_the_one_before() -> None:
    words = [str(n % 10) for n in range(2 * SIZE)]
    chunks = [chunk.text.split() for chunk in CUTTER.chunks("a.pdf", [(None, " ".join(words))])]
    assert [len(chunk) for chunk in chunks] == [SIZE, SIZE, 2 * SIZE - 2 * (SIZE - OVERLAP)]
    assert chunks[1][:OVERLAP] == chunks[0][-OVERLAP:]


def test_a_peer_that_cannot_be_installed_is_reported_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for setting in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(setting, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    told = {"lang": "en", "texts": ["a"], "questions": ["a"], "gold": [0]}
    figures = quality._or_why(
        lambda: quality._of_set(told["gold"], peers.ask("bm25s", ["a"], ["a"], 1))
    )
    assert list(figures) == ["not measured"]
    assert "it cannot be installed" in figures["not measured"]
    assert "bm25s" in figures["not measured"]
    assert not list((tmp_path / "andon-bench").iterdir())
    assert json.dumps(figures)


def test_the_reading_sets_name_the_passage_of_each_question() -> None:
    data = needed_data()
    chinese, english = reading_sets.drcd(data), reading_sets.emanual(data)
    assert (len(chinese["texts"]), len(chinese["gold"])) == (1000, 3524)
    assert (len(english["texts"]), len(english["gold"])) == (451, 50)
    for told in (chinese, english):
        assert len(told["questions"]) == len(told["gold"])
        assert all(told["texts"][n] for n in told["gold"])
    place = english["questions"].index("How can I turn on the GPS ?")
    assert english["texts"][english["gold"][place]].startswith("Location")
