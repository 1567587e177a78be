"""How an answer goes out: as JSON, as text for a display, and as copies to askers (pure)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.answers import Answer
from schemas.channels import ANSWER, DISPLAY
from services.orchestrator.display import display
from services.orchestrator.records import Copy, Outgoing


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
        payload=DISPLAY.encode(display(answer)),
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
