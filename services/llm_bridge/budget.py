"""What of a request fits the model's context (pure; the counting is the caller's)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from schemas.generation import PromptPassage
from services.runtime.errors import Rejected

Measure = Callable[[Sequence[PromptPassage]], Awaitable[int]]
"""Tokens of the whole prompt with these passages; more passages or longer ones are never fewer."""

MARGIN = 8
"""Tokens left free: for what a template adds that a count did not see."""
_LEAST = 64
"""A passage is not cut to less than this, characters: a stump says nothing."""
_CUTS = 6
"""Tries at cutting a passage; each halves what is uncertain."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What goes into the prompt."""

    passages: list[PromptPassage]
    """The first of the request's passages; the last of them may be cut."""
    answer_tokens: int
    """Room for the answer, tokens."""
    prompt_tokens: int
    """Length of the prompt, tokens."""


async def fit(
    passages: Sequence[PromptPassage], *, context: int, max_tokens: int, measure: Measure
) -> Fit:
    """Keep as many passages as fit, best first; cut the one that fits in part.

    Args:
        passages: best first.
        context: tokens of prompt and answer together.
        max_tokens: room asked for the answer; at most half of the context is given.
        measure: counts the whole prompt with some first passages.

    Raises:
        Rejected: instructions and question alone are too long.
    """
    answer = min(max_tokens, context // 2)
    room = context - answer - MARGIN
    whole = await measure(passages)
    if whole <= room:
        return Fit(list(passages), answer, whole)

    # The largest number that fits, by halves: `low` fits, `high` does not.
    low, high = 0, len(passages)
    tokens = await measure(()) if passages else whole
    if tokens > room:
        raise Rejected(
            "fit the question into the model's context",
            f"instructions and question take {tokens} tokens, there is room for {max(room, 0)}",
            "ask more briefly, or start llama-server with a larger context (-c)",
        )
    while high - low > 1:
        middle = (low + high) // 2
        count = await measure(passages[:middle])
        if count <= room:
            low, tokens = middle, count
        else:
            high = middle
    kept = list(passages[:low])
    partly = await _cut(kept, passages[low], room, measure)
    if partly is not None:
        kept.append(partly[0])
        tokens = partly[1]
    return Fit(kept, answer, tokens)


async def _cut(
    kept: list[PromptPassage], passage: PromptPassage, room: int, measure: Measure
) -> tuple[PromptPassage, int] | None:
    """Return the longest beginning of the passage that fits, and the prompt's length with it."""
    best: tuple[PromptPassage, int] | None = None
    low, high = _LEAST, len(passage.text)
    for _ in range(_CUTS):
        if high <= low:
            break
        text = _beginning(passage.text, (low + high) // 2)
        shorter = msgspec.structs.replace(passage, text=text)
        count = await measure([*kept, shorter])
        if count <= room:
            best, low = (shorter, count), (low + high) // 2
        else:
            high = (low + high) // 2
    return best


def _beginning(text: str, length: int) -> str:
    """Return at most this many characters, up to the end of a line, sentence or word if near."""
    head = text[:length]
    for signs in ("\n", "。！？；.!?;", " ，、,"):
        end = max(head.rfind(sign) for sign in signs) + 1
        if end * 4 >= length * 3:
            head = head[:end]
            break
    return f"{head.rstrip()} …"


def estimate(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few.

    For servers without `/tokenize`. English runs at 3 to 5 characters a token; digits and signs
    near 1; Chinese at 1 to 2 tokens a character, depending on the vocabulary.
    """
    letters = sum(sign.isascii() and (sign.isalpha() or sign == " ") for sign in text)
    other_ascii = sum(sign.isascii() for sign in text) - letters
    return -(-letters // 3) + other_ascii + 2 * (len(text) - letters - other_ascii)
