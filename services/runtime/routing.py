"""Which message goes to which inbox, and which may still be acked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from services.runtime.errors import Fatal
from services.runtime.messages import AckToken, Delivery, Inbox, check_filter

log = logging.getLogger(__name__)

STRAY_GRACE_S = 10.0
"""How long a message that no inbox wants is kept unacked, waiting for its `consume`."""


class Router:
    """The inboxes of one bus."""

    def __init__(self, confirm: Callable[[int], None]) -> None:
        """`confirm` sends the PUBACK for a message id of the present connection."""
        self.inboxes: dict[int, Inbox] = {}
        """By subscription identifier."""
        self._confirm = confirm
        # The number of the present connection, or of the next one.
        self._epoch = 1
        self._strays: list[Delivery] = []
        self._timer: asyncio.TimerHandle | None = None
        self._expecting = False

    def add(self, inbox: Inbox) -> None:
        """Take a new inbox, and give it the messages that waited for it.

        Raises:
            Fatal: a filter is malformed, or another inbox has it.
        """
        taken = {one for other in self.inboxes.values() for one in other.filters}
        for one in inbox.filters:
            check_filter(one)
            if one in taken:
                raise Fatal("subscribe", f"{one} is consumed twice", "share one inbox")
            taken.add(one)
        while inbox.identifier in self.inboxes:
            inbox.identifier = inbox.identifier % 268_435_455 + 1
        self.inboxes[inbox.identifier] = inbox
        strays, self._strays = self._strays, []
        for delivery in strays:
            if inbox.matches(delivery.topic):
                inbox.put(delivery)
            else:
                self._strays.append(delivery)

    def expect(self, more: bool) -> None:
        """Say whether more inboxes are to come: until then nothing is dropped."""
        self._expecting = more
        if self._strays:
            self._drop_later()

    def remove(self, inbox: Inbox) -> None:
        """Forget an inbox."""
        del self.inboxes[inbox.identifier]

    def route(self, delivery: Delivery, mid: int, identifiers: Sequence[int]) -> None:
        """Put a message where it belongs.

        Args:
            delivery: the message, without token.
            mid: its message id, 0 with QoS 0.
            identifiers: the subscriptions the broker sent it for.
        """
        inboxes = [self.inboxes[one] for one in identifiers if one in self.inboxes]
        if not inboxes:
            # No identifiers, or those of an earlier process that subscribed otherwise.
            inboxes = [one for one in self.inboxes.values() if one.matches(delivery.topic)]
        group: set[AckToken] = set()
        for inbox in inboxes:
            inbox.came_again(delivery)
            inbox.put(self._stamped(delivery, mid, group))
        if not inboxes:
            self._strays.append(self._stamped(delivery, mid, group))
            if self._timer is None:
                self._drop_later()

    def ack(self, delivery: Delivery) -> None:
        """See `Bus.ack`."""
        token = delivery.token
        if token is None or token.epoch != self._epoch or token not in token.group:
            return
        token.group.discard(token)
        if not token.group:
            self._confirm(token.mid)

    def lost(self) -> None:
        """The connection is gone, and with it the right to ack what came over it."""
        self._epoch += 1

    def resumed(self) -> None:
        """The broker still has our session: what was not acked comes again, so set that apart.

        All of it does, unless the broker was killed and found an older session in its file.
        """
        for inbox in self.inboxes.values():
            inbox.set_apart(self._epoch)
        self._strays = [one for one in self._strays if one.token is None]

    def settled(self) -> None:
        """What the broker had to send again is here; what it does not know any more we still do."""
        for inbox in self.inboxes.values():
            inbox.put_back()

    def close(self) -> None:
        """Stop the timer; what waits unacked is the broker's."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _drop_later(self) -> None:
        self.close()
        if not self._expecting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(STRAY_GRACE_S, self.drop_strays)

    def drop_strays(self) -> None:
        """Left unacked, messages nobody wants would fill the broker's window and stop the rest."""
        self._timer = None
        strays, self._strays = self._strays, []
        for delivery in strays:
            log.warning(
                "dropped a message on %s: an earlier configuration subscribed to it, this one "
                "does not",
                delivery.topic,
            )
            self.ack(delivery)

    def _stamped(self, delivery: Delivery, mid: int, group: set[AckToken]) -> Delivery:
        if not delivery.qos:
            return delivery
        return msgspec.structs.replace(delivery, token=AckToken(self._epoch, mid, group))
