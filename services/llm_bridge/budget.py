"""What of a request fits the model's context (pure; the counting is the caller's).

Passages go by rank: the last are dropped, and the one that fits in part is shortened. What goes is
thus one stretch of the prompt, and the tokens it takes with it are known from the lengths of the
prompt's own tokens. So the server is asked three times at most as a rule, however many passages
there are: how many tokens the whole has, how long each of them is when it does not fit, and how
many the shortened prompt has, since tokens may fall otherwise at the joint.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from schemas.generation import PromptPassage
from services.llm_bridge import cuts
from services.llm_bridge.prompt import fenced
from services.runtime.errors import Rejected

MARGIN = 8
"""Tokens left free: for what a server adds that a count did not see."""
JOINT = 16
"""Tokens that the mark, the end of the fence and the joint behind a cut take, generously."""
_CLOSE = "\n</passage>"
_TRIES = 4
"""Cuts that are tried before all passages are left out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt as the server reads it."""

    text: str
    """The prompt."""
    tokens: int
    """Its length."""


Read = Callable[[Sequence[PromptPassage]], Awaitable[Reading]]
"""Reads the prompt with some first passages."""
Lengths = Callable[[str], Awaitable[Sequence[int] | None]]
"""Lengths of a text's tokens, UTF-8 bytes; None where the server does not tell."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What goes into the prompt."""

    passages: list[PromptPassage]
    """The first of the request's passages; the last of them may be shortened."""
    answer_tokens: int
    """Room for the answer, tokens."""
    prompt: Reading
    """The prompt with them."""
    left_out: list[int] = field(default_factory=list)
    """Numbers of the others."""
    shortened: list[int] = field(default_factory=list)
    """Numbers of those that were shortened."""


async def fit(
    passages: Sequence[PromptPassage],
    *,
    context: int,
    max_tokens: int,
    read: Read,
    lengths: Lengths,
) -> Fit:
    """Keep as much of the passages as fits, best first.

    Args:
        passages: best first.
        context: tokens of prompt and answer together.
        max_tokens: room asked for the answer; at most half of the context is given.
        read: makes and counts the prompt.
        lengths: measures its tokens.

    Raises:
        Rejected: instructions and question alone are too long.
    """
    answer = min(max_tokens, context // 2)
    room = context - answer - MARGIN
    kept = list(passages)
    whole = prompt = await read(kept)
    needed = whole.tokens - room
    goes = needed + JOINT
    scale = None
    for attempt in range(_TRIES + 1):
        if prompt.tokens <= room:
            break
        if not kept:
            raise Rejected(
                "fit the question into the model's context",
                f"instructions and question take {prompt.tokens} tokens, there is room for"
                f" {max(room, 0)}",
                "ask more briefly, or start llama-server with a larger context (-c)",
            )
        if scale is None:
            scale = TokenScale(whole, await lengths(whole.text))
        else:  # less went than was to go
            goes = goes * needed // max(whole.tokens - prompt.tokens, 1) + JOINT
        kept = [] if attempt + 1 == _TRIES else _shorten(passages, whole, scale, goes)
        prompt = await read(kept)
    return Fit(
        kept,
        answer,
        prompt,
        left_out=[passage.n for passage in passages[len(kept) :]],
        shortened=[
            passage.n
            for passage, original in zip(kept, passages, strict=False)
            if passage.text != original.text
        ],
    )


class TokenScale:
    """How many tokens lie before a place of a prompt, and the other way round."""

    def __init__(self, prompt: Reading, lengths: Sequence[int] | None) -> None:
        """Take what the server tells; without lengths, tokens are spread as `estimate` has it."""
        if lengths is None:
            units = [_weight(sign) for sign in prompt.text]
            self._text = None
            self._ends = [end * prompt.tokens / (sum(units) or 1) for end in accumulate(units)]
        else:
            # Some tokens may stand for no text: that one which every prompt begins with.
            self._text = prompt.text.encode("utf-8", "replace")
            spare = sum(lengths) - len(self._text)
            self._ends = [end - spare for end in accumulate(lengths)]

    def before(self, place: int) -> float:
        """Return the tokens that end before this place, characters from the beginning."""
        if self._text is None:
            return self._ends[place - 1] if place > 0 else 0.0
        head = self._text.decode()[:place].encode()
        return bisect_right(self._ends, len(head))

    def place(self, tokens: float) -> int:
        """Return the last place with at most so many tokens before it."""
        if tokens < 0:
            return 0
        if self._text is None:
            return bisect_right(self._ends, tokens)
        ends = self._ends
        stop = ends[int(tokens)] - 1 if int(tokens) < len(ends) else len(self._text)
        return len(self._text[: max(int(stop), 0)].decode("utf-8", "ignore"))


def _shorten(
    passages: Sequence[PromptPassage], whole: Reading, scale: TokenScale, goes: int
) -> list[PromptPassage]:
    """Return what is left of the passages when so many tokens at their end go."""
    spans = _spans(passages, whole.text)
    limit = scale.place(scale.before(spans[-1][1]) - goes)
    kept = []
    for passage, (start, end) in zip(passages, spans, strict=True):
        if end > limit:
            # `fenced` puts the text between a line of its own length and the end of the fence.
            head = (end - start) - len(passage.text) - len(_CLOSE)
            text = cuts.shorten(passage.text, limit - start - head)
            if text is not None:
                kept.append(msgspec.structs.replace(passage, text=text))
            break
        kept.append(passage)
    return kept


def _spans(passages: Sequence[PromptPassage], text: str) -> list[tuple[int, int]]:
    """Return where each passage begins and ends in the prompt."""
    spans = []
    place = 0
    for passage in passages:
        block = fenced(passage)
        start = text.find(block, place)
        # A template that changes what it is given leaves a guess; the count that follows judges.
        start = place if start < 0 else start
        place = min(start + len(block), len(text))
        spans.append((start, place))
    return spans


def estimate(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few.

    For servers that do not count. English runs at 3 to 5 characters a token; digits and signs
    near 1; Chinese at 1 to 2 tokens a character, depending on the vocabulary.
    """
    return -(-sum(_weight(sign) for sign in text) // 3)


def _weight(sign: str) -> int:
    """Return the thirds of a token that a character takes."""
    if not sign.isascii():
        return 6
    return 1 if sign.isalpha() or sign == " " else 3
