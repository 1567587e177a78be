from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.generation import PromptPassage
from services.llm_bridge.budget import MARGIN, estimate, fit
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit


def passage(n: int, text: str) -> PromptPassage:
    return PromptPassage(n=n, source=f"Manual, page {n}", text=text)


class Meter:
    """Counts a prompt of `fixed` tokens, and one token for `letters` characters of passages."""

    def __init__(self, fixed: int, letters: int = 4) -> None:
        self.fixed = fixed
        self.letters = letters
        self.calls = 0

    async def __call__(self, passages: Sequence[PromptPassage]) -> int:
        self.calls += 1
        return self.fixed + sum(5 - (-len(p.text) // self.letters) for p in passages)


PASSAGES = st.lists(st.text("abc .\n。", max_size=900), max_size=12).map(
    lambda texts: [passage(n, text) for n, text in enumerate(texts, 1)]
)


@given(PASSAGES, st.integers(16, 4000), st.integers(16, 2000), st.integers(1, 300))
async def test_what_is_kept_fits_and_is_the_most(
    passages: list[PromptPassage], context: int, max_tokens: int, fixed: int
) -> None:
    meter = Meter(fixed)
    answer = min(max_tokens, context // 2)
    room = context - answer - MARGIN
    if fixed > room:
        with pytest.raises(Rejected, match="tokens"):
            await fit(passages, context=context, max_tokens=max_tokens, measure=meter)
        return
    found = await fit(passages, context=context, max_tokens=max_tokens, measure=meter)
    assert found.answer_tokens == answer
    assert found.prompt_tokens == await meter(found.passages) <= room
    assert meter.calls <= 14
    *whole, last = found.passages or [None]
    assert whole == passages[: len(whole)]
    if len(found.passages) < len(passages):
        assert await meter(passages[: len(found.passages) + 1]) > room
    if last is not None:
        original = passages[len(whole)]
        assert last.n == original.n
        assert last.source == original.source
        assert last == original or original.text.startswith(last.text.removesuffix(" …").rstrip())


async def test_one_count_is_enough_when_all_fits() -> None:
    meter = Meter(10)
    passages = [passage(n, "x" * 400) for n in range(1, 6)]
    assert (await fit(passages, context=4096, max_tokens=512, measure=meter)).passages == passages
    assert meter.calls == 1


async def test_a_passage_is_cut_after_a_sentence() -> None:
    text = "Check the supply at L1. " * 40
    found = await fit([passage(1, text)], context=200, max_tokens=50, measure=Meter(40))
    assert found.passages[0].text.endswith("L1. …")
    assert 100 < found.prompt_tokens <= 142


async def test_no_stump_of_a_passage_is_kept() -> None:
    passages = [passage(1, "a" * 400), passage(2, "b" * 400)]
    found = await fit(passages, context=230, max_tokens=50, measure=Meter(60))
    assert [p.text for p in found.passages] == ["a" * 400]


async def test_a_question_too_long_is_rejected_with_what_to_do() -> None:
    with pytest.raises(Rejected, match="larger context") as caught:
        await fit([], context=512, max_tokens=128, measure=Meter(500))
    assert "500 tokens" in caught.value.reason


@pytest.mark.parametrize(
    ("text", "least"),
    [("Check the supply voltage of the drive.", 7), ("变频器报E005错误怎么办?", 9), ("", 0)],
)
def test_an_estimate_is_rather_too_high(text: str, least: int) -> None:
    assert least <= estimate(text) <= max(3 * least, 0)
