"""What the other services say of themselves: whether there is a model to ask, and which manuals."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from schemas.channels import STATUS
from schemas.health import ServiceStatus
from services.orchestrator.made import known_as
from services.runtime.bus import Bus
from services.runtime.messages import Inbox

log = logging.getLogger(__name__)

OTHERS = ("llm_bridge", "retriever")


class Others:
    """The bridge and the retriever, as last heard of."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.model_ready = False
        """Whether the bridge says that its model can be asked."""
        self.model = ""
        """The language model, the last one that was heard of, as `made.known_as` has it; empty
        while unknown."""
        self.generation: int | None = None
        """Of the corpus; None while unknown."""

    async def watch(
        self,
        bus: Bus,
        statuses: Inbox,
        *,
        asked: Callable[[], None],
        corpus: Callable[[ServiceStatus], None],
    ) -> None:
        """Listen, forever.

        Args:
            bus: where the messages are acked.
            statuses: those of `OTHERS`.
            asked: called whenever the model says that it can be asked.
            corpus: told each status that is not the bridge's.
        """
        while True:
            delivery = await statuses.get()
            try:
                status: ServiceStatus = STATUS.decode(delivery.payload)
            except msgspec.DecodeError as error:
                log.warning("unreadable status on %s: %s", delivery.topic, error)
            else:
                if status.service == "llm_bridge":
                    self._heard_of_model(status)
                    if self.model_ready:
                        asked()
                else:
                    corpus(status)
                    if isinstance(generation := status.facts.get("generation"), int):
                        self.generation = generation
            bus.ack(delivery)

    def _heard_of_model(self, status: ServiceStatus) -> None:
        name = str(status.facts.get("model") or "")
        self.model_ready = status.state == "ready" and bool(name)
        if name:
            self.model = known_as(name, str(status.facts.get("identity") or ""))
