"""Every message comes back as it went, and a wrong shape is refused with its place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

import schemas
from schemas.channels import CHANNELS, PROBLEM, RPCS
from schemas.shapes import structs
from schemas.topics import is_message
from tests.support.strategies import full, instances, replaced, structs_of, wrong_places

pytestmark = pytest.mark.contract

STRUCTS = structs_of(schemas)
WRONG = [(kind, *place) for kind in STRUCTS for place in wrong_places(inspect.type_info(kind))]
REQUIRED = [
    (kind, field)
    for kind in STRUCTS
    for field in inspect.type_info(kind).fields
    if field.required and not inspect.type_info(kind).array_like
]

each = pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)


def name(value: object) -> str | None:
    if isinstance(value, inspect.Field):
        return value.name
    return value.__name__ if isinstance(value, type) else str(value)


def test_the_registry_speaks_of_structs_of_this_package_only() -> None:
    types = [channel.type for channel in CHANNELS if is_message(channel.type)]
    types += [kind for rpc in RPCS for kind in (rpc.request, rpc.reply)]
    assert set(structs([*types, PROBLEM])) <= set(STRUCTS)


@each
@settings(max_examples=25)
@given(data=st.data())
def test_message_comes_back(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    message = data.draw(instances(kind))
    assert msgspec.json.decode(msgspec.json.encode(message), type=kind) == message
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=kind) == message


@each
def test_message_with_everything_in_it_is_taken(kind: type[msgspec.Struct]) -> None:
    data = full(inspect.type_info(kind))
    message = msgspec.json.decode(msgspec.json.encode(data), type=kind)
    assert msgspec.to_builtins(message, builtin_types=(bytes,)) == data


@each
def test_a_newer_peer_may_send_more(kind: type[msgspec.Struct]) -> None:
    data = full(inspect.type_info(kind))
    more = [*data, 7] if isinstance(data, list) else {**data, "not_known_yet": 7}
    assert msgspec.convert(more, kind) == msgspec.convert(data, kind)


@pytest.mark.parametrize(("kind", "steps", "path", "wrong"), WRONG, ids=name)
def test_wrong_shape_is_refused_with_its_place(
    kind: type[msgspec.Struct], steps: tuple[str | int, ...], path: str, wrong: Any
) -> None:
    data = replaced(full(inspect.type_info(kind)), steps, wrong)
    for coding in (msgspec.json, msgspec.msgpack):
        with pytest.raises(msgspec.ValidationError) as caught:
            coding.decode(coding.encode(data), type=kind)
        assert str(caught.value).endswith(f" - at `{path}`")


@pytest.mark.parametrize(("kind", "field"), REQUIRED, ids=name)
def test_missing_field_is_named(kind: type[msgspec.Struct], field: inspect.Field) -> None:
    data = full(inspect.type_info(kind))
    del data[field.encode_name]
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{field.name}`"):
        msgspec.json.decode(msgspec.json.encode(data), type=kind)


def test_places_go_all_the_way_down() -> None:
    paths = {f"{kind.__name__} {path}" for kind, _, path, _ in WRONG}
    assert "Answer $.citations[0].page" in paths
    assert "ServiceStatus $.facts[...]" in paths
    assert "Found $.hits[0].passage.fields[0][1]" in paths


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
@settings(max_examples=25)
@given(data=st.data())
def test_channel_decodes_what_it_encodes(channel: Any, data: st.DataObject) -> None:
    message = data.draw(instances(channel.type))
    assert channel.decode(channel.encode(message)) == message


@given(st.binary(), st.sampled_from([c for c in CHANNELS if is_message(c.type)]))
def test_any_bytes_are_taken_or_refused_by_one_kind_of_error(payload: bytes, channel: Any) -> None:
    try:
        message = channel.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # ValidationError is a DecodeError
    assert isinstance(message, channel.type)
