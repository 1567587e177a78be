from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from services.runtime import routing
from services.runtime.calls import puback_error
from services.runtime.errors import Fatal, Rejected, Retryable
from services.runtime.messages import NO_PROPERTIES, Delivery, Inbox
from services.runtime.routing import Router

pytestmark = pytest.mark.unit


def message(topic: str, qos: int = 1) -> Delivery:
    return Delivery(
        topic=topic, payload=b"", qos=qos, retain=False, duplicate=False, properties=NO_PROPERTIES
    )


@pytest.fixture
def confirmed() -> list[int]:
    return []


@pytest.fixture
async def router(confirmed: list[int]) -> Router:
    return Router(confirmed.append)


async def test_one_copy_for_two_inboxes_is_acked_when_both_have(
    router: Router, confirmed: list[int]
) -> None:
    """As brokers send them that do not repeat a message for each subscription."""
    wide, narrow = Inbox(["t/#"], 1), Inbox(["t/x"], 1)
    router.add(wide)
    router.add(narrow)
    router.route(message("t/x"), 7, [wide.identifier, narrow.identifier])
    first, second = wide.drain() + narrow.drain()
    router.ack(first)
    router.ack(first)
    assert confirmed == []
    router.ack(second)
    router.ack(second)
    assert confirmed == [7]


async def test_identifiers_rule_and_topics_help_out(router: Router) -> None:
    wide, narrow = Inbox(["t/#"], 1), Inbox(["t/x"], 1)
    router.add(wide)
    router.add(narrow)
    for identifiers, expected in (
        ([narrow.identifier], (0, 1)),
        ([wide.identifier], (1, 0)),
        ([], (1, 1)),
        ([12345], (1, 1)),
    ):
        router.route(message("t/x"), 1, identifiers)
        assert (len(wide.drain()), len(narrow.drain())) == expected


async def test_a_message_waits_for_its_inbox(router: Router, confirmed: list[int]) -> None:
    for mid, topic in enumerate(["t/1", "u/1", "t/2"], start=1):
        router.route(message(topic), mid, [99])
    late = Inbox(["t/+"], 1)
    router.add(late)
    got = late.drain()
    assert [one.topic for one in got] == ["t/1", "t/2"]
    for one in got:
        router.ack(one)
    assert confirmed == [1, 3]
    router.close()


async def test_a_message_nobody_wants_is_dropped_aloud(
    router: Router, confirmed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    router.route(message("old/topic"), 4, [99])
    router.close()
    with caplog.at_level(logging.WARNING):
        router.drop_strays()
    assert confirmed == [4]
    assert "old/topic" in caplog.text


async def test_nothing_is_dropped_while_more_inboxes_are_to_come(
    router: Router, confirmed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "STRAY_GRACE_S", 0.0)
    router.expect(True)
    router.route(message("plant/m1/fault"), 4, [])
    router.route(message("old/topic"), 5, [])
    await asyncio.sleep(0.01)
    inbox = Inbox(["plant/+/fault"], 1)
    router.add(inbox)
    assert [one.topic for one in inbox.drain()] == ["plant/m1/fault"]
    assert confirmed == []
    router.expect(False)
    await asyncio.sleep(0.01)
    assert confirmed == [5]


async def test_a_resumed_session_has_each_message_once_and_in_order(
    router: Router, confirmed: list[int]
) -> None:
    inbox = Inbox(["t/x"], 1)
    router.add(inbox)
    for mid, payload in enumerate([b"kept by both", b"ours alone", b"ours alone"], start=1):
        router.route(msgspec.structs.replace(message("t/x"), payload=payload), mid, [])
    router.lost()
    router.resumed()
    assert len(inbox) == 0
    again = msgspec.structs.replace(message("t/x"), payload=b"kept by both", duplicate=True)
    router.route(again, 7, [])
    router.settled()
    got = inbox.drain()
    assert [one.payload for one in got] == [b"kept by both", b"ours alone", b"ours alone"]
    for one in got:
        router.ack(one)
    assert confirmed == [7]


async def test_a_resumed_session_leaves_to_the_broker_what_comes_again(
    router: Router, confirmed: list[int]
) -> None:
    inbox = Inbox(["t/x"], 1)
    router.add(inbox)
    router.route(message("t/x"), 1, [])
    router.route(message("t/x", qos=0), 0, [])
    router.route(message("stray"), 2, [])
    router.route(message("stray", qos=0), 0, [])
    router.lost()
    router.resumed()
    assert [one.qos for one in inbox.drain()] == [0]
    late = Inbox(["stray"], 1)
    router.add(late)
    assert [one.qos for one in late.drain()] == [0]
    assert confirmed == []
    router.close()


async def test_a_lost_session_keeps_what_will_not_come_again(
    router: Router, confirmed: list[int]
) -> None:
    inbox = Inbox(["t/x"], 1)
    router.add(inbox)
    router.route(message("t/x"), 1, [])
    router.lost()
    [kept] = inbox.drain()
    router.ack(kept)
    assert confirmed == []


async def test_two_inboxes_never_share_an_identifier(router: Router) -> None:
    one, other = Inbox(["a"], 1), Inbox(["b"], 1)
    one.identifier = other.identifier = 268_435_455
    router.add(one)
    router.add(other)
    assert (one.identifier, other.identifier) == (268_435_455, 1)


async def test_a_filter_has_one_inbox(router: Router) -> None:
    router.add(Inbox(["a", "b"], 1))
    for filters in (["b"], ["c", "c"]):
        with pytest.raises(Fatal, match="twice"):
            router.add(Inbox(filters, 1))
    assert len(router.inboxes) == 1


@pytest.mark.parametrize(
    ("reason", "kind"),
    [(0, type(None)), (16, type(None)), (128, Rejected), (135, Rejected), (151, Retryable)],
)
def test_puback_reasons(reason: int, kind: type) -> None:
    assert type(puback_error("t", reason)) is kind
