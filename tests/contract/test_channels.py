"""Topics: one meaning each, made and read back by the registry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from schemas.channel import Channel
from schemas.channels import ANSWER, ASK, ASKED, CHANNELS, FAULT, REPLY, RPCS

pytestmark = pytest.mark.contract

SEVERAL = {"asset", "area", "client"}
"""Parameters that may have several levels."""

# What a broker takes in a topic: no wildcards, no control characters, no non-characters.
LEVEL = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"],
        exclude_characters="+#/\ufffe\uffff" + "".join(map(chr, range(0xFDD0, 0xFDF0))),
    ),
    min_size=1,
    max_size=20,
)
LEVELS = st.lists(LEVEL, min_size=1, max_size=4).map("/".join)
PREFIX = st.sampled_from(["andon", "a", "site1/andon", "werk.3", "a+"]).filter(
    lambda text: "+" not in text
)
channels = st.sampled_from([channel for channel in CHANNELS if channel is not FAULT])


def names(channel: Channel) -> list[str]:
    return re.findall(r"\{(\w+)\}", channel.address)


def values(channel: Channel) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries(
        {name: LEVELS if name in SEVERAL else LEVEL for name in names(channel)}
    )


def test_each_topic_has_one_meaning() -> None:
    addresses = [channel.topic(**dict.fromkeys(names(channel), "x")) for channel in CHANNELS]
    addresses += [rpc.topic() for rpc in RPCS]
    assert len(set(addresses)) == len(addresses)
    for topic in addresses:
        channels_of = [c.name for c in CHANNELS if topic_matches_sub(c.filter(), topic)]
        rpcs_of = [rpc.name for rpc in RPCS if rpc.topic() == topic]
        assert len(channels_of + rpcs_of) == 1, topic
    labels = [channel.name for channel in CHANNELS] + [rpc.name for rpc in RPCS]
    assert len(set(labels)) == len(labels)


@given(st.data(), channels, PREFIX)
def test_parameters_come_back(data: st.DataObject, channel: Channel, prefix: str) -> None:
    given_ = data.draw(values(channel))
    topic = channel.topic(prefix, **given_)
    assert channel.parameters(topic, prefix) == given_
    assert topic_matches_sub(channel.filter(prefix), topic)


@given(st.data(), channels, channels)
def test_topic_is_of_one_channel(data: st.DataObject, channel: Channel, other: Channel) -> None:
    topic = channel.topic(**data.draw(values(channel)))
    belongs = channel is other
    assert (other.parameters(topic) is not None) == belongs
    assert topic_matches_sub(other.filter(), topic) == belongs
    assert other.parameters(topic, "other") is None


@given(channels, LEVELS, st.sampled_from("+#\0\n\x1f\x7f\x85\ufffe"), LEVELS)
def test_wildcards_never_get_into_a_topic(
    channel: Channel, before: str, forbidden: str, after: str
) -> None:
    for bad in (before + forbidden + after, forbidden):
        with pytest.raises(ValueError, match=f"{channel.name}: {names(channel)[0]} must be"):
            channel.topic(**dict.fromkeys(names(channel), bad))


@pytest.mark.parametrize("channel", [c for c in CHANNELS if names(c)], ids=lambda c: c.name)
def test_missing_and_empty_parameters_are_refused(channel: Channel) -> None:
    with pytest.raises(ValueError, match=r"must be .*topic level"):
        channel.topic()
    with pytest.raises(ValueError, match=r"must be .*topic level"):
        channel.topic(**dict.fromkeys(names(channel), ""))


@pytest.mark.parametrize("channel", [c for c in CHANNELS if "{" in c.address], ids=lambda c: c.name)
def test_one_level_takes_no_slash(channel: Channel) -> None:
    [name] = names(channel)
    if name in {"asset", "area", "client"}:
        assert channel.parameters(channel.topic(**{name: "a/b"})) == {name: "a/b"}
    else:
        with pytest.raises(ValueError, match="must be one topic level"):
            channel.topic(**{name: "a/b"})


@given(LEVELS)
def test_answers_to_a_person_are_in_a_place_of_their_own(client: str) -> None:
    asked = ASK.parameters(ASK.topic(client=client))
    assert asked is not None
    answer = ANSWER.topic(asset=ASKED + asked["client"])
    assert answer == f"andon/answer/ask/{client}"
    found = ANSWER.parameters(answer)
    assert found is not None
    assert found["asset"].removeprefix(ASKED) == client
    assert not topic_matches_sub(ASK.filter(), answer), "an answer must not be asked again"


def test_faults_come_from_outside_the_prefix() -> None:
    assert FAULT.topic("any") == FAULT.filter("any") == "plant/+/fault"
    assert topic_matches_sub(FAULT.filter(), "plant/motor7/fault")


def test_only_what_stands_is_retained() -> None:
    standing = {"answer", "display", "alarm", "flood", "document", "status", "mark"}
    assert {channel.name for channel in CHANNELS if channel.retain} == standing


def test_what_an_owner_publishes_is_acked_but_for_the_stream() -> None:
    assert {channel.name for channel in CHANNELS if channel.qos != 1} == {"stream"}


def test_replies_stay_between_services() -> None:
    assert (REPLY.owner, REPLY.readers) == ("service", ("service",))
