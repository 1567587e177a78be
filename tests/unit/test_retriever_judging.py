"""What a passage by itself holds of a question, and that each is looked at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.retriever.judging import Judge
from services.retriever.question import read
from services.retriever.ranking import rank

pytestmark = pytest.mark.unit


class Text:
    """A passage that counts how often it is read."""

    head, section, name, document, kind = "manual", "", "", 1, "text"

    def __init__(self, number: int, body: str) -> None:
        self.id = number
        self._body = body
        self.read = 0

    @property
    def body(self) -> str:
        """Its tokens."""
        self.read += 1
        return self._body

    def labels(self) -> Sequence[str]:
        """It has no fields."""
        return ()


def test_a_passage_that_was_looked_at_before_is_not_read_again() -> None:
    words = ["brake", "chopper"]
    question = read(words, words, (), dict.fromkeys(words, 1), 100)
    texts = {n: Text(n, body) for n, body in enumerate(("brake", "chopper brake", "chopper", ""))}
    nothing: dict[int, float] = {}
    whole = rank(
        texts, question, codes_asked=0, code_hits={}, word_hits=(), vector_hits=(), named=nothing
    )
    judge = Judge(question)
    first = judge.judge({n: texts[n] for n in (0, 1)})
    assert first[1].held == dict.fromkeys(words, 1.0)
    before = [text.read for text in texts.values()]
    again = rank(
        texts,
        question,
        codes_asked=0,
        code_hits={},
        word_hits=(),
        vector_hits=(),
        named=nothing,
        judge=judge,
    )
    assert again == whole
    assert [text.read > n for text, n in zip(texts.values(), before, strict=True)] == [
        False,
        False,
        True,
        True,
    ]
