from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from services.runtime.errors import Fatal
from services.runtime.messages import (
    NO_PROPERTIES,
    AckToken,
    Delivery,
    Inbox,
    Properties,
    check_filter,
    topic_matches,
)
from services.runtime.wire import outgoing, pack, read_properties, read_publish

pytestmark = pytest.mark.unit

levels = st.sampled_from(["", "a", "b", "$SYS", "$", "故障", "ab"])
topics = st.lists(levels, min_size=1, max_size=5).map("/".join)


@st.composite
def filters(draw: st.DrawFn) -> str:
    parts = draw(st.lists(levels | st.just("+"), min_size=1, max_size=5))
    return "/".join([*parts, "#"] if draw(st.booleans()) else parts)


@given(filters(), topics)
@example("#", "$SYS/x")
@example("+/x", "$SYS/x")
@example("$SYS/#", "$SYS/x")
@example("a/#", "a")
@example("a/+", "a")
@example("a/+", "a/")
@example("#", "")
def test_topic_matches_as_paho_does(topic_filter: str, topic: str) -> None:
    assert topic_matches(topic_filter, topic) == topic_matches_sub(topic_filter, topic)


@given(filters().filter(bool))
def test_valid_filters_pass(topic_filter: str) -> None:
    check_filter(topic_filter)


@pytest.mark.parametrize(
    "wrong", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+", "a\0", "x" * 65536]
)
def test_wrong_filters_are_named(wrong: str) -> None:
    with pytest.raises(Fatal, match="topic filter"):
        check_filter(wrong)


def test_an_inbox_has_the_same_identifier_in_each_process() -> None:
    # Fixed on purpose: messages the broker queued before an update carry the old number.
    assert Inbox(["plant/+/fault"], 1).identifier == 151_484_335
    assert Inbox(["a", "b"], 1).identifier != Inbox(["b", "a"], 1).identifier


short = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=40
)
properties = st.builds(
    Properties,
    response_topic=st.none() | short,
    correlation=st.none() | st.binary(max_size=300),
    content_type=st.none() | short,
    expiry_s=st.none() | st.integers(0, 2**32 - 1),
    user=st.lists(st.tuples(short, short), max_size=4).map(tuple),
)


@given(properties)
def test_packed_properties_are_what_paho_packs_and_reads(given_: Properties) -> None:
    theirs = PahoProperties(PacketTypes.PUBLISH)
    if given_.response_topic is not None:
        theirs.ResponseTopic = given_.response_topic
    if given_.correlation is not None:
        theirs.CorrelationData = given_.correlation
    if given_.content_type is not None:
        theirs.ContentType = given_.content_type
    if given_.expiry_s is not None:
        theirs.MessageExpiryInterval = given_.expiry_s
    for pair in given_.user:
        theirs.UserProperty = pair
    assert pack(given_) == theirs.pack()

    packed = pack(given_)
    assert read_properties(b"ab" + packed + b"c", 2) == (given_, [], 2 + len(packed))
    ours = outgoing(given_)
    assert (b"\0" if ours is None else ours.pack()) == theirs.pack()


def test_subscription_identifiers_are_read() -> None:
    theirs = PahoProperties(PacketTypes.PUBLISH)
    theirs.SubscriptionIdentifier = 7
    theirs.SubscriptionIdentifier = 268_435_455
    packed = theirs.pack()
    assert read_properties(packed, 0) == (Properties(), [7, 268_435_455], len(packed))


@given(short.filter(bool), properties, st.binary(max_size=50), st.integers(1, 65_535))
def test_a_publish_is_read_as_it_was_sent(
    topic: str, given_: Properties, payload: bytes, mid: int
) -> None:
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name
    delivery, got, identifiers = read_publish(
        0x3B, head + mid.to_bytes(2, "big") + pack(given_) + payload
    )
    assert (delivery.topic, delivery.payload, got, identifiers) == (topic, payload, mid, [])
    assert (delivery.qos, delivery.retain, delivery.duplicate) == (1, True, True)
    assert delivery.properties == given_
    delivery, got, _ = read_publish(0x30, head + pack(given_) + payload)
    assert (delivery.qos, delivery.retain, delivery.duplicate, got) == (0, False, False, 0)
    assert (delivery.payload, delivery.properties) == (payload, given_)


@given(st.integers(0x30, 0x3F), st.binary(max_size=60))
@example(0x32, b"\0\1a\0\1\3\x26\0\1k")
@example(0x30, b"\0\1a\x80\x80\x80\x80\1")
def test_any_bytes_are_a_publish_or_refused(header: int, packet: bytes) -> None:
    try:
        delivery, _, _ = read_publish(header, packet)
    except ValueError:
        return
    assert packet.endswith(delivery.payload)


def test_a_topic_that_is_not_utf_8_is_empty() -> None:
    delivery, mid, _ = read_publish(0x32, b"\0\1\xff\0\7\0x")
    assert (delivery.topic, delivery.payload, mid) == ("", b"x", 7)


@pytest.mark.parametrize(
    "wrong",
    [
        Properties(correlation=b"x" * 65_536),
        Properties(content_type="x" * 65_536),
        Properties(expiry_s=-1),
        Properties(expiry_s=2**32),
        Properties(user=(("k", "x" * 65_536),)),
    ],
)
def test_properties_that_do_not_fit_the_wire(wrong: Properties) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        outgoing(wrong)


def test_the_first_user_property_of_a_name_counts() -> None:
    one = Properties(user=(("a", "1"), ("traceparent", "00-x"), ("a", "2")))
    assert (one.get("a"), one.get("b"), one.traceparent) == ("1", None, "00-x")


def sent(payload: bytes, qos: int) -> Delivery:
    return Delivery(
        topic="t",
        payload=payload,
        qos=qos,
        retain=False,
        duplicate=False,
        properties=NO_PROPERTIES,
        token=AckToken(1, 1, set()) if qos else None,
    )


async def test_what_nobody_promised_to_keep_has_a_bound_and_is_counted() -> None:
    inbox = Inbox(["t"], 1, unpromised=5000)
    for number in range(10):
        inbox.put(sent(bytes([number]) * 975, 0))
        inbox.put(sent(b"kept", 1))
    assert (len(inbox), inbox.dropped) == (12, 8)
    got = [one.payload[:1] for one in await inbox.batch() if not one.qos]
    assert got == [b"\0", b"\1"], "what came first stays"
    inbox.put(sent(b"again", 0))
    assert (await inbox.get()).payload == b"again"
    assert inbox.dropped == 8


async def test_there_is_room_again_for_what_was_taken_out() -> None:
    inbox = Inbox(["t"], 0, unpromised=5000)
    for _ in range(100):
        inbox.put(sent(bytes(2000), 0))
        inbox.set_apart(epoch=2)
        await inbox.get()
    assert inbox.dropped == 0
