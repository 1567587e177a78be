"""How an answer goes out: as JSON, as text for a display, and as copies to askers (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from schemas.answers import Answer, Extract
from schemas.channels import ANSWER, DISPLAY
from services.orchestrator.display import display
from services.orchestrator.records import Copy, Outgoing

# Control characters, and what is not seen and turns or hides what is: marks of direction, zero
# width, the tag characters. Manuals, payloads and models may have them; no reader needs them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_UNSEEN = re.compile(
    r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """Return text with nothing in it that changes how a screen shows the rest; lines stay."""
    return _UNSEEN.sub("", _CONTROLS.sub(" ", text))


def given(
    answer: Answer,
    prefix: str,
    place: str,
    expiry_s: int,
    copies: Sequence[Copy] = (),
    *,
    stands: bool = True,
) -> list[Outgoing]:
    """Return the messages an answer is published with.

    Args:
        answer: the answer.
        prefix: of Andon's topics.
        place: the asset, or `ask/<client>`.
        expiry_s: seconds until the broker forgets it.
        copies: where else it goes.
        stands: whether it is the one to stand on the topics of its place. Otherwise those hear it
            who listen now, and a display, which has room for one, does not.
    """
    answer = _readable(answer)
    as_json = Outgoing(
        topic=ANSWER.topic(prefix, asset=place),
        payload=ANSWER.encode(answer),
        retain=ANSWER.retain and stands,
        content_type=ANSWER.content_type,
        trace=answer.trace,
        expiry_s=expiry_s,
    )
    as_text = msgspec.structs.replace(
        as_json,
        topic=DISPLAY.topic(prefix, asset=place),
        payload=DISPLAY.encode(display(_sure(answer))),
        retain=DISPLAY.retain,
        content_type=DISPLAY.content_type,
    )
    return [
        as_json,
        *([as_text] if stands else []),
        *(
            msgspec.structs.replace(
                as_json, topic=copy.topic, correlation=copy.correlation, retain=False
            )
            for copy in copies
        ),
    ]


def _sure(answer: Answer) -> Answer:
    """Return what a display may show of an answer: the manuals' own words where it is doubtful."""
    if answer.extract is None:
        return answer
    own = answer.extract
    return msgspec.structs.replace(
        answer, summary=own.summary, causes=own.causes, actions=own.actions
    )


def _readable(answer: Answer) -> Answer:
    """Return the answer with all text for people harmless; ids, topics and file names stay."""
    own = answer.extract
    return msgspec.structs.replace(
        answer,
        question=harmless(answer.question),
        summary=harmless(answer.summary),
        causes=_all_harmless(answer.causes),
        actions=_all_harmless(answer.actions),
        text=harmless(answer.text),
        note=harmless(answer.note),
        citations=[
            msgspec.structs.replace(
                one,
                document=harmless(one.document),
                section=harmless(one.section),
                quote=harmless(one.quote),
            )
            for one in answer.citations
        ],
        extract=own
        and Extract(
            summary=harmless(own.summary),
            causes=_all_harmless(own.causes),
            actions=_all_harmless(own.actions),
            text=harmless(own.text),
        ),
    )


def _all_harmless(texts: Sequence[str]) -> list[str]:
    return [harmless(text) for text in texts]
