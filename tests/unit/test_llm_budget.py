from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.generation import Generate, PromptPassage
from services.llm_bridge import cuts, prompt
from services.llm_bridge.budget import MARGIN, Fit, Reading, TokenScale, estimate, fit
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit

QUESTION = "What does E005 mean?"
Tokenizer = Callable[[str], list[str]]


def passage(n: int, text: str) -> PromptPassage:
    return PromptPassage(n=n, source=f"Manual, page {n}", text=text)


def words(text: str) -> list[str]:
    return re.findall(r" ?\w{1,6}|\s|[^\w\s]", text)


def fours(text: str) -> list[str]:
    """Tokens whose borders all move when anything before them changes."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]


TOKENIZERS: list[Tokenizer] = [words, fours]


class Server:
    """Reads prompts with a tokenizer of its own, and counts how often it is asked."""

    def __init__(self, tokenizer: Tokenizer, *, tells: bool = True, mangles: bool = False) -> None:
        self.tokenizer = tokenizer
        self.tells = tells
        self.mangles = mangles
        self.calls = 0
        self.request = Generate(
            id="", system="You help.", question=QUESTION, passages=[], lang="en"
        )

    async def read(self, passages: Sequence[PromptPassage]) -> Reading:
        self.calls += 1
        text = prompt.plain(self.request, passages)
        if self.mangles:
            text = text.replace("<passage", "[p").replace("  ", " ")
        return Reading(text, 1 + len(self.tokenizer(text)))  # one that stands for no text

    async def lengths(self, text: str) -> list[int] | None:
        self.calls += 1
        if not self.tells:
            return None
        return [7, *(len(token.encode()) for token in self.tokenizer(text))]

    async def fit(self, passages: list[PromptPassage], context: int, max_tokens: int = 64) -> Fit:
        return await fit(
            passages,
            context=context,
            max_tokens=max_tokens,
            read=self.read,
            lengths=self.lengths,
        )


TEXTS = st.one_of(
    st.text("abc .\n。<|é", max_size=900),
    st.text(max_size=200),
    st.lists(st.sampled_from(["Check the supply. ", "检查电源。", "| E1 | low |\n", "x" * 90])).map(
        "".join
    ),
)
PASSAGES = st.lists(TEXTS, max_size=9).map(
    lambda texts: [passage(n, text) for n, text in enumerate(texts, 1)]
)


SERVERS = st.builds(Server, st.sampled_from(TOKENIZERS), tells=st.booleans(), mangles=st.booleans())


@settings(max_examples=300)
@given(PASSAGES, st.integers(16, 3000), st.integers(16, 2000), SERVERS)
async def test_the_prompt_always_fits_and_the_best_come_first(
    passages: list[PromptPassage], context: int, max_tokens: int, server: Server
) -> None:
    answer = min(max_tokens, context // 2)
    room = context - answer - MARGIN
    bare = (await server.read([])).tokens
    server.calls = 0
    if bare > room:
        with pytest.raises(Rejected, match="tokens"):
            await server.fit(passages, context, max_tokens)
        return
    found = await server.fit(passages, context, max_tokens)
    assert found.answer_tokens == answer
    assert found.prompt == await server.read(found.passages)
    assert found.prompt.tokens <= room
    assert server.calls <= 7
    # A beginning of what was given, only the last one of it shortened, and told so.
    kept = len(found.passages)
    assert found.left_out == [p.n for p in passages[kept:]]
    for got, given_ in zip(found.passages[:-1], passages, strict=False):
        assert got == given_
    if found.passages:
        last, original = found.passages[-1], passages[kept - 1]
        assert (last.n, last.source) == (original.n, original.source)
        assert found.shortened == ([] if last == original else [last.n])
        assert original.text.startswith(last.text.removesuffix(cuts.MARK))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(300, 1500))
async def test_nothing_that_has_room_is_left_out(sentences: list[int], context: int) -> None:
    passages = [passage(n, "Check the supply. " * s) for n, s in enumerate(sentences, 1)]
    server = Server(words)
    found = await server.fit(passages, context)
    room = context - 64 - MARGIN
    if found.left_out or found.shortened:
        # What is free is less than the least that would be kept, and a sentence.
        longest = cuts.LEAST // 4 + 4 + 32 + 30
        assert room - found.prompt.tokens <= longest


async def test_one_count_is_enough_when_all_fits() -> None:
    server = Server(words)
    passages = [passage(n, "x" * 400) for n in range(1, 6)]
    found = await server.fit(passages, 4096, 512)
    assert (found.passages, found.left_out, found.shortened) == (passages, [], [])
    assert server.calls == 1


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
async def test_three_questions_are_enough_when_it_does_not(tokenizer: Tokenizer) -> None:
    server = Server(tokenizer)
    passages = [passage(n, "Check the supply at L1 and L2. " * 20) for n in range(1, 30)]
    found = await server.fit(passages, 2060)
    assert server.calls == 3
    assert found.shortened == [found.passages[-1].n]
    assert found.passages[-1].text.endswith("L2. …")
    assert found.prompt.tokens > 1750


async def test_without_lengths_it_is_found_too() -> None:
    server = Server(words, tells=False)
    passages = [passage(n, "检查电源。" * 40 + "Check the supply. " * 20) for n in range(1, 30)]
    found = await server.fit(passages, 3000)
    assert server.calls <= 6
    assert found.prompt.tokens > 2300


async def test_no_stump_of_a_passage_is_kept() -> None:
    server = Server(words)
    bare = (await server.read([passage(1, "a b " * 100)])).tokens
    found = await server.fit(
        [passage(1, "a b " * 100), passage(2, "c d " * 100)], bare + 64 + MARGIN + 30
    )
    assert [p.n for p in found.passages] == [1]
    assert (found.left_out, found.shortened) == ([2], [])


async def test_a_question_too_long_is_rejected_with_what_to_do() -> None:
    server = Server(words)
    with pytest.raises(Rejected, match="larger context") as caught:
        await server.fit([], 128)
    assert f"{(await server.read([])).tokens} tokens" in caught.value.reason


@given(st.text(max_size=80), st.sampled_from([words, fours]), st.booleans())
def test_places_and_tokens_agree(text: str, tokenizer: Tokenizer, tells: bool) -> None:
    lengths = [5, *(len(token.encode()) for token in tokenizer(text))]
    scale = TokenScale(Reading(text, len(lengths)), lengths if tells else None)
    for tokens in range(len(lengths) + 2):
        place = scale.place(tokens)
        assert 0 <= place <= len(text)
        assert place == 0 or scale.before(place) <= tokens
        assert place == len(text) or scale.before(place + 1) > tokens


@pytest.mark.parametrize(
    ("text", "least"),
    [("Check the supply voltage of the drive.", 7), ("变频器报E005错误怎么办?", 9), ("", 0)],
)
def test_an_estimate_is_rather_too_high(text: str, least: int) -> None:
    assert least <= estimate(text) <= max(3 * least, 0)
