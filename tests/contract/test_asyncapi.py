"""The generated documents: fresh, and right by their own rules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

import schemas
from schemas import asyncapi, describe, docs, shapes, topics, yamltext
from schemas.channels import CHANNELS, REPLY, RPCS
from tests.support.strategies import full, instances, structs_of

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
STRUCTS = structs_of(schemas)
PUBLIC = [channel.type for channel in CHANNELS if topics.is_message(channel.type)]
DOCUMENT = describe.document()

each = pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
Validator = jsonschema.Draft202012Validator


def resolved(ref: str) -> Any:
    found: Any = DOCUMENT
    assert ref.startswith("#/")
    for step in ref.removeprefix("#/").split("/"):
        found = found[step]
    return found


def component(name: str) -> dict[str, Any]:
    """Return the schema of a component that can stand alone."""
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def test_documents_are_fresh() -> None:
    assert asyncapi.stale(ROOT) == [], "run python -m schemas.asyncapi"


def test_yaml_says_what_was_meant() -> None:
    text = (ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == DOCUMENT


def test_every_reference_leads_somewhere() -> None:
    refs = set(shapes.references(DOCUMENT))
    assert len(refs) > len(CHANNELS) + len(RPCS)
    for ref in refs:
        resolved(ref)


def test_every_parameter_of_an_address_is_declared() -> None:
    for name, channel in DOCUMENT["channels"].items():
        used = set(re.findall(r"\{(\w+)\}", channel["address"]))
        assert used == set(channel.get("parameters", {})), name
        assert not re.search(r"[+#]", channel["address"]), name


def test_every_channel_is_there_and_used() -> None:
    assert len(DOCUMENT["channels"]) == len(CHANNELS) + len(RPCS)
    operations = DOCUMENT["operations"].values()
    used = {operation["channel"]["$ref"] for operation in operations}
    used |= {op["reply"]["channel"]["$ref"] for op in operations if "reply" in op}
    assert used == {f"#/channels/{name}" for name in DOCUMENT["channels"]}


def test_operations_speak_of_messages_of_their_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        for part in filter(None, (operation, operation.get("reply"))):
            channel = part["channel"]["$ref"]
            for message in part["messages"]:
                assert message["$ref"].startswith(f"{channel}/messages/")
                resolved(message["$ref"])


def test_every_channel_has_an_owner_and_its_readers() -> None:
    for channel in (channel for channel in CHANNELS if channel is not REPLY):
        sent = DOCUMENT["operations"][f"{channel.owner}_sends_{channel.name}"]
        assert sent["bindings"]["mqtt"]["qos"] == channel.qos
        assert sent["bindings"]["mqtt"]["retain"] == channel.retain
        for reader in channel.readers:
            assert DOCUMENT["operations"][f"{reader}_receives_{channel.name}"]


def test_every_request_names_its_replies_and_the_problem() -> None:
    for rpc in RPCS:
        reply = DOCUMENT["operations"][f"{rpc.service}_answers_{rpc.verb}"]["reply"]
        names = [ref["$ref"].rpartition("/")[2] for ref in reply["messages"]]
        assert names == [k.__name__ for k in get_args(rpc.reply) or (rpc.reply,)] + ["Problem"]


@each
def test_every_field_is_explained(kind: type[msgspec.Struct]) -> None:
    assert set(docs.of_fields(kind)) == set(kind.__struct_fields__)


def test_the_words_of_a_field_are_its_description() -> None:
    page = DOCUMENT["components"]["schemas"]["Citation"]["properties"]["page"]
    assert page["description"] == "Physical page, from 1; null where the format has no pages."
    timings = DOCUMENT["components"]["schemas"]["Answer"]["properties"]["timings_ms"]
    assert timings["allOf"] == [{"$ref": "#/components/schemas/Timings"}]
    assert timings["description"] == "Where the time went."


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_component_is_a_schema_that_takes_its_message(name: str) -> None:
    Validator.check_schema(DOCUMENT["components"]["schemas"][name])
    kind = next(kind for kind in STRUCTS if kind.__name__ == name)
    validator = Validator(component(name))
    example = msgspec.to_builtins(full(inspect.type_info(kind)))
    validator.validate(example)
    if isinstance(example, dict):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate([example])
        for field in DOCUMENT["components"]["schemas"][name]["required"]:
            assert not validator.is_valid({k: v for k, v in example.items() if k != field})


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_schema_file_takes_what_is_sent(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    schema = shapes.standalone(kind)
    message = data.draw(instances(kind))
    Validator(schema).validate(json.loads(msgspec.json.encode(message)))


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_schema_file_is_a_schema(kind: type[msgspec.Struct]) -> None:
    text = (ROOT / "docs" / "schemas" / f"{kind.__name__}.json").read_text(encoding="utf-8")
    Validator.check_schema(json.loads(text))


def test_table_has_every_public_topic() -> None:
    rows = topics.table().splitlines()[2:]
    assert len(rows) == len(CHANNELS)  # without the replies, with one row for all requests
    assert all(row.count("|") == 7 for row in rows)
    assert rows[1].startswith("| `andon/ask/<client>` | anyone → orchestrator |")
    linked = re.findall(r"\((docs/[^)]+)\)", topics.table())
    assert linked
    assert all((ROOT / path).is_file() for path in linked)


def test_stale_documents_are_told_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{topics.BEGIN}\nold\n{topics.END}\nafter\n", encoding="utf-8")
    check = ["--check", "--root", str(tmp_path)]
    assert asyncapi.main(check) == 1
    told = capsys.readouterr().err
    assert "docs/asyncapi.yaml: missing" in told
    assert "README.md: stale" in told
    assert "-old" in told
    assert "python -m schemas.asyncapi" in told

    assert asyncapi.main(["--root", str(tmp_path)]) == 0
    assert asyncapi.main(check) == 0
    text = readme.read_text(encoding="utf-8")
    assert text == f"before\n{topics.BEGIN}\n{topics.table()}{topics.END}\nafter\n"

    (tmp_path / "docs" / "schemas" / "Gone.json").write_text("{}", encoding="utf-8")
    ask = tmp_path / "docs" / "schemas" / "Ask.json"
    ask.write_text(ask.read_text(encoding="utf-8").replace("4000", "5000"), encoding="utf-8")
    capsys.readouterr()
    assert asyncapi.main(check) == 1
    told = capsys.readouterr().err
    assert "docs/schemas/Gone.json: no message has this name any more" in told
    assert "5000" in told
    assert "4000" in told
    assert asyncapi.main(["--root", str(tmp_path)]) == 0
    assert not (tmp_path / "docs" / "schemas" / "Gone.json").exists()
    assert asyncapi.main(check) == 0


def test_one_marker_alone_is_refused() -> None:
    assert topics.written_into("no markers") == "no markers"
    for text in (topics.BEGIN, topics.END, f"{topics.END}\n{topics.BEGIN}"):
        with pytest.raises(ValueError, match="belong together"):
            topics.written_into(text)


def test_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncapi.main(["--table"]) == 0
    assert capsys.readouterr().out == topics.table()


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["yes", "No", "null", "~", "1e5", "0x1", "a: b", "a #b", "- a", "'", "$ref"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab:- #\n1é", max_size=5), inner),
)


@given(PLAIN)
def test_yaml_comes_back(data: Any) -> None:
    assert yaml.safe_load(yamltext.dump(data)) == data


def test_yaml_refuses_what_it_cannot_say() -> None:
    with pytest.raises(TypeError, match="set has no place"):
        yamltext.dump({"a": {1}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        yamltext.dump(float("inf"))
