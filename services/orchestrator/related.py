"""What the passages behind the first say: a line of each, under a heading of its own."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.answers import Language
from schemas.retrieval import Hit
from services.orchestrator.choice import identity, named_by, structured
from services.orchestrator.definition import define
from services.orchestrator.phrases import phrases
from services.orchestrator.running import tell
from services.orchestrator.sentences import shared, weight
from services.orchestrator.wording import bearing_of, sentence_of, squeezed, summary_of, titled

_MOST_RELATED = 3
"""Passages behind the first that say something in the text."""
_SHARE = 0.5
"""Of what the first has of the question, the least they must have of it."""
_LEAST_RELATED = 2.0
"""What they have of the question at least, in weights of terms."""


def related(
    first: Hit,
    more: Sequence[tuple[int, Hit]],
    *,
    asked: frozenset[str],
    said: Sequence[str],
    lang: Language,
    bearing: dict[tuple[str, int, int], str],
) -> list[str]:
    """Return what the passages behind the first say on the question, a sentence of each.

    Args:
        first: The passage that answers already.
        more: The others, with their numbers.
        asked: Terms of the question.
        said: The answer's lines so far: nothing is said twice.
        lang: Language of the answer.
        bearing: Takes the words that the quotes begin with.
    """
    # The document's title says which machine is meant, not what is asked about it.
    asked = asked - named_by(first) or asked
    known = shared(asked, "\n".join(said))
    enough = max(_LEAST_RELATED, sum(map(weight, known)) * _SHARE)
    seen = squeezed("".join(said))
    lines: list[str] = []
    for n, hit in more:
        if len(lines) >= _MOST_RELATED:
            break
        if structured(hit):
            sentence = summary_of(define(hit.passage, code="", lang=lang), "", asked)
        else:
            told = tell(hit, asked, room=0)
            bearing[identity(hit)] = bearing_of(hit, told)
            sentence = sentence_of(told)
        gained = shared(asked, sentence)
        new = squeezed(sentence)
        if not new or new in seen or sum(map(weight, gained)) < enough:
            continue
        seen += new
        lines.append(f"{titled(hit, first, sentence)} [{n}]")
    return ["", phrases(lang).related, *lines] if lines else []
