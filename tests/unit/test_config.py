"""config.yaml: the example is complete, and a wrong file says what is wrong with it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.runtime import config
from services.runtime.address import BrokerAddress
from services.runtime.config import Config, Trigger
from services.runtime.errors import Fatal

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.yaml"
INSTALLED = {"retriever.embedding.model", "ingest.tokenizer"}
"""Keys whose default depends on where Andon is installed: switched off in the example."""


def switched_on(text: str) -> str:
    """Remove the # from keys that are switched off: `#key: value`, no space after the #."""
    return re.sub(r"(?m)^( *)#(?=\w+:)", r"\1", text)


def keys(node: yaml.Node, path: str = "") -> list[str]:
    """Return the keys in the order of the file, lists taken as one place."""
    if isinstance(node, yaml.SequenceNode):
        return [key for item in node.value for key in keys(item, path)]
    if not isinstance(node, yaml.MappingNode):
        return []
    found = []
    for key, value in node.value:
        here = f"{path}.{key.value}".lstrip(".")
        found += [here, *keys(value, here)]
    return found


def expected(kind: Any, path: str = "") -> list[str]:
    """Return the keys of a struct in its order."""
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return expected(kind.item_type, path)
    if not isinstance(kind, msgspec.inspect.StructType):
        return []
    found = []
    for field in kind.fields:
        here = f"{path}.{field.name}".lstrip(".")
        found += [here, *expected(field.type, here)]
    return found


def compose(text: str) -> yaml.Node:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None
    return node


def test_example_says_what_is_the_default() -> None:
    assert config.load(EXAMPLE) == Config()


def test_example_has_every_key_in_order() -> None:
    text = switched_on(EXAMPLE.read_text(encoding="utf-8"))
    assert keys(compose(text)) == expected(msgspec.inspect.type_info(Config))
    config.parse(text, "example")


def test_example_switches_off_only_what_depends_on_the_installation() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert set(keys(compose(switched_on(text)))) - set(keys(compose(text))) == INSTALLED


def test_example_explains_every_key() -> None:
    lines = switched_on(EXAMPLE.read_text(encoding="utf-8")).splitlines()
    bare = [
        line
        for before, line in itertools.pairwise(["", *lines])
        if re.match(r" *(- )?\w+:", line) and not re.match(r" *# ", before)
    ]
    assert bare == []


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "null\n", "{}\n"])
def test_empty_file_gives_the_defaults(text: str) -> None:
    assert config.parse(text, "f.yaml") == Config()


def test_byte_order_mark_and_dos_lines(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbflog: debug\r\ndata: /srv\r\n")
    assert config.load(path) == Config(log="debug", data="/srv")


def test_merged_keys_are_overridden_where_they_are_used() -> None:
    text = (
        "orchestrator:\n  triggers:\n    - &line\n      topic: a/+\n      priority: advice\n"
        "    - <<: *line\n      topic: b/+\n"
    )
    assert config.parse(text, "f.yaml").orchestrator.triggers == (
        Trigger(topic="a/+", priority="advice"),
        Trigger(topic="b/+", priority="advice"),
    )


TRIGGER = "orchestrator:\n  triggers:\n    - topic: plant/+/fault\n      "
WRONG = {
    "unknown key": ("broker:\n  ulr: x\n", 2, "broker.ulr", "unknown key", "`url`"),
    "unknown section": ("brokr: {}\n", 1, "brokr", "unknown key", "did you mean `broker`?"),
    "nothing like it": ("\nzzz: 1\n", 2, "zzz", "unknown key; allowed: prefix", "data"),
    "key with a dot": ("broker.url: x\n", 1, "broker.url", "unknown key", "prefix, data"),
    "empty section": ("log: info\nbroker:\n", 2, "broker", "nothing", "keys url"),
    "section is a text": ("broker: mqtt://x\n", 1, "broker", "'mqtt://x'", "keys url"),
    "number for text": ("broker:\n  username: 17\n", 2, "broker.username", "17", "in quotes"),
    "no is not text": ("data: no\n", 1, "data", "false", "in quotes"),
    "date for text": ("data: 2024-01-01\n", 1, "data", "2024-01-01", "text"),
    "empty text": ("data: ''\n", 1, "data", "''", "text, not empty"),
    "text for number": (
        "log: info\nstatus_every_s: soon\n",
        2,
        "status_every_s",
        "'soon'",
        "a number",
    ),
    "float for int": ("ingest: {max_pages: 1.5}\n", 1, "ingest.max_pages", "1.5", "a whole number"),
    "zero": ("stop_within_s: 0\n", 1, "stop_within_s", "found 0", "above 0"),
    "no end": ("stop_within_s: .inf\n", 1, "stop_within_s", "inf", "with an end"),
    "not a number": ("stop_within_s: .nan\n", 1, "stop_within_s", "nan", "above 0"),
    "too many": ("orchestrator:\n  passages: 21\n", 2, "orchestrator.passages", "21", "at most 20"),
    "too much": ("retriever:\n\n  threshold: 1.1\n", 3, "retriever.threshold", "1.1", "at most 1"),
    "bad word": ("log: loud\n", 1, "log", "'loud'", "debug, error, info, warning"),
    "bad language": (TRIGGER + "lang: fr\n", 4, "triggers[0].lang", "'fr'", "en, zh or null"),
    "bad value in a map": (
        TRIGGER + "priorities:\n        low: advice\n        high: urgent\n",
        *(6, "triggers[0].priorities.high", "'urgent'", "advice, critical, warning"),
    ),
    "number as key": (TRIGGER + "priorities: {1: advice}\n", 4, "priorities", "the key 1", '"1"'),
    "topic missing": (
        "orchestrator:\n  triggers:\n    - asset: a\n",
        *(3, "orchestrator.triggers[0].topic", "nothing", "must be given: text, not empty"),
    ),
    "list where map": ("- broker\n", 1, "the file", "a list", "keys prefix"),
    "text where map": ("broker\n", 1, "the file", "'broker'", "keys prefix"),
    "map where list": (
        "orchestrator:\n  triggers:\n    topic: a\n",
        *(2, "orchestrator.triggers", "keys and values", "a list, each item a section"),
    ),
    "list of wrong things": (TRIGGER + "code: [a, 5]\n", 4, "triggers[0].code[1]", "5", "text"),
    "twice": ("log: info\ndata: a\nlog: debug\n", 3, "log", "second time, first in line 1", "once"),
    "twice inside": (
        TRIGGER + "asset: a\n      asset: b\n",
        *(5, "orchestrator.triggers[0].asset", "second time, first in line 4", "once"),
    ),
    "prefix": ("prefix: a/#\n", 1, "prefix", "'a/#'", "topic levels without spaces"),
    "prefix of the broker": ("prefix: $SYS\n", 1, "prefix", "'$SYS'", "topic levels"),
    "scheme": ("broker:\n  url: tcp://b:1883\n", 2, "broker.url", "'tcp://b:1883'", "mqtt://host"),
    "no host": ("broker: {url: 'mqtt://'}\n", 1, "broker.url", "'mqtt://'", "mqtt://host"),
    "port": ("broker: {url: 'mqtt://b:0'}\n", 1, "broker.url", "'mqtt://b:0'", "mqtt://host"),
    "port too high": ("broker: {url: 'mqtt://b:65536'}\n", 1, "broker.url", "65536", "mqtt://host"),
    "socket": ("broker: {url: 'unix://x/y'}\n", 1, "broker.url", "'unix://x/y'", "unix:///run"),
    "cert alone": (
        "broker:\n  url: mqtts://b\n  cert: c.pem\n",
        *(3, "broker.cert", "without `key`", "both, or neither"),
    ),
    "key alone": (
        "broker: {url: 'mqtts://b', key: k}\n",
        1,
        "broker.key",
        "without `cert`",
        "both",
    ),
    "ca without tls": ("broker:\n  ca: ca.pem\n", 2, "broker.ca", "without TLS", "mqtts://"),
    "password alone": ("broker: {password: x}\n", 1, "broker.password", "without username", "both"),
    "two passwords": (
        "broker:\n  username: u\n  password: x\n  password_file: f\n",
        *(3, "broker.password", "with password_file", "one of the two"),
    ),
    "hash inside": (
        "orchestrator: {triggers: [{topic: a/#/b}]}\n",
        *(1, "orchestrator.triggers[0].topic", "'a/#/b', where `#`", "plant/+/fault"),
    ),
    "hash in a level": (
        "orchestrator: {triggers: [{topic: a/b#}]}\n",
        *(1, "orchestrator.triggers[0].topic", "'a/b#', where `#`", "plant/+/fault"),
    ),
    "plus in a level": (
        "orchestrator: {triggers: [{topic: x}, {topic: a/m+}]}\n",
        *(1, "orchestrator.triggers[1].topic", "'a/m+', where `+`", "plant/+/fault"),
    ),
    "half a character": (
        'orchestrator: {triggers: [{topic: "a\\ud800"}]}\n',
        *(1, "orchestrator.triggers[0].topic", "that MQTT forbids", "plant/+/fault"),
    ),
    "own topic": (
        "prefix: box\norchestrator: {triggers: [{topic: box/answer/#}]}\n",
        *(2, "orchestrator.triggers[0].topic", "'box/answer/#'", "no topic of Andon's own"),
    ),
    "level not there": (TRIGGER + "asset: '{4}'\n", 4, "triggers[0].asset", "`{4}`", "{1} to {3}"),
    "open brace": (TRIGGER + "question: 'x {code'\n", 4, "triggers[0].question", "'x {c", "`{1}`"),
    "upper case": (TRIGGER + "cleared: [OK]\n", 4, "triggers[0].cleared", "'OK'", "lower case"),
    "format": (TRIGGER + "format: xml\n", 4, "triggers[0].format", "'xml'", "json, sparkplug"),
    "births": (
        "orchestrator:\n  triggers:\n    - topic: spBv1.0/+/DDATA/#\n      format: sparkplug\n",
        *(3, "triggers[0].topic", "misses births", "`spBv1.0/#`"),
    ),
    "lease": ("orchestrator: {lease_s: 0.5}\n", 1, "orchestrator.lease_s", "0.5", "at least 1"),
    "stale while new": (
        "orchestrator:\n  alarms:\n    stale_after_s: 60\n",
        *(3, "alarms.stale_after_s", "60 with flood_window_s 600", "at least flood_window_s"),
    ),
    "flood that ends at once": (
        "orchestrator:\n  alarms: {flood_more_than: 4}\n",
        *(2, "alarms.flood_fewer_than", "5 with flood_more_than 4", "at most flood_more_than"),
    ),
    "overlap": (
        "ingest:\n  chunk_tokens: 64\n  overlap_tokens: 64\n",
        *(3, "ingest.overlap_tokens", "64 with chunk_tokens 64", "less than chunk_tokens"),
    ),
    "server": ("llm_bridge: {url: 'b:8080'}\n", 1, "llm_bridge.url", "'b:8080'", "http://host"),
    "reranker": (
        "retriever: {rerank_url: 'b:8082'}\n",
        *(1, "retriever.rerank_url", "'b:8082'", "http://host"),
    ),
    "embedding": (
        "retriever:\n  embedding:\n    backend: llama-server\n",
        *(3, "retriever.embedding.backend", "llama-server without an address", "`url`"),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_value_is_named(case: str) -> None:
    text, line, key, found, allowed = WRONG[case]
    with pytest.raises(Fatal) as caught:
        config.parse(text, "box.yaml")
    reason = caught.value.reason
    first = reason.splitlines()[0]
    parts = re.fullmatch(r"box\.yaml, line (\d+): (.*?): (found .*)", first)
    assert parts, first
    number, named, what = parts.groups()
    assert int(number) == line
    assert named.endswith(key)
    assert found in what
    assert allowed in what
    assert "`object`" not in reason, "msgspec's words are no words for the reader"


@pytest.mark.parametrize(
    ("topic", "works"),
    [
        ("spBv1.0/#", True),
        ("spBv1.0/press/#", True),
        ("spBv1.0/+/#", True),
        ("spBv1.0/press/+/#", True),
        ("spBv1.0/press/+/edge1/#", True),
        ("spBv1.0/+/+/+/+", False),
        ("spBv1.0/press/+/edge1", False),
        ("spBv1.0/press/+/edge1/d/#", False),
        ("spBv1.0/press/DDATA/#", False),
        ("plant/+/fault", False),
        ("#", False),
    ],
)
def test_a_sparkplug_filter_brings_births_and_data(topic: str, works: bool) -> None:
    text = f"orchestrator: {{triggers: [{{topic: '{topic}', format: sparkplug}}]}}"
    assert (refusal(text) == "") == works
    assert refusal(text.replace("sparkplug", "json")) == ""


ADDRESSES = [
    {"url": url}
    for url in (
        *("mqtt://b", "mqtt://b:1", "mqtt://b:0", "mqtt://b:65536", "mqtt://b:x", "mqtt://", ""),
        *(
            "mqtts://[::1]:8883",
            "mqtts://[::1",
            "mqtt://b/",
            "mqtt://b/x",
            "mqtt://b?x",
            "MQTT://b",
        ),
        *("unix:///s", "unix://s", "unix:/s", "unix:///s/", "unix:", "tcp://b", "b:1883", "b"),
        *("mqtt://me@b", "mqtt://me:secret@b", "mqtt://b#x", "mqtt:b"),
    )
] + [
    {"url": f"{scheme}://b", **parts}
    for scheme in ("mqtt", "mqtts")
    for parts in (
        {"ca": "a"},
        {"cert": "a"},
        {"key": "a"},
        {"cert": "a", "key": "b"},
        {"username": "a"},
        {"password": "a"},
        {"username": "a", "password": "b"},
    )
]


@pytest.mark.parametrize("parts", ADDRESSES, ids=str)
def test_what_is_taken_is_what_the_bus_takes(parts: dict[str, str]) -> None:
    try:
        BrokerAddress.from_url(**parts)
    except Fatal:
        works = False
    else:
        works = True
    assert (refusal(yaml.safe_dump({"broker": parts})) == "") == works


NOT_YAML = {
    "tab": ("broker:\n\turl: x\n", 2, "spaces, not tabs"),
    "open list": ("log: [\n", 2, "<stream end>"),
    "open quote": ("log: 'a\n", 2, "end of stream"),
    "control character": ("log: info\nda\x07ta: x\n", 2, r"control character '\x07'"),
    "unknown alias": ("log: *x\n", 1, "undefined alias"),
    "two documents": ("log: info\n---\nlog: info\n", 2, "document"),
    "no such day": ("log: info\ndata: 2024-13-45\n", 2, "'2024-13-45'"),
    "python object": ("data: !!python/object:os.system x\n", 1, "python/object"),
    "list as key": ("? [a]\n: b\n", 1, "unhashable"),
}


@pytest.mark.parametrize("case", NOT_YAML)
def test_broken_yaml_says_where(case: str) -> None:
    text, line, why = NOT_YAML[case]
    with pytest.raises(Fatal) as caught:
        config.parse(text, "box.yaml")
    assert re.match(rf"box\.yaml, line {line}: not YAML: ", caught.value.reason)
    assert why in caught.value.reason


def test_all_that_cannot_work_is_named_at_once() -> None:
    with pytest.raises(Fatal) as caught:
        config.parse("broker: {url: x}\nllm_bridge: {url: y}\n", "f.yaml")
    assert [line.split(": ")[1] for line in caught.value.reason.splitlines()] == [
        "broker.url",
        "llm_bridge.url",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "broker: {password: 123456}",
        "broker: {url: 'mqtt://me:123456@b'}",
        "broker: {url: 'mqtt://me:123456@b:99999', ca: x}",
        "llm_bridge: {api_key: 123456}",
    ],
)
def test_secrets_are_not_repeated(text: str) -> None:
    with pytest.raises(Fatal) as caught:
        config.parse(text, "f.yaml")
    assert "123456" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(Fatal, match=r"none\.yaml: No such file.*--config"):
        config.load(path)
    with pytest.raises(Fatal, match="Is a directory"):
        config.load(tmp_path)


def test_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes("log: info\ndata: /srv/wärme\n".encode("latin-1"))
    with pytest.raises(Fatal, match=r"config\.yaml, line 2: .*0xe4; allowed: text in UTF-8"):
        config.load(path)


def test_find_takes_the_option_then_the_environment_then_what_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANDON_CONFIG", raising=False)
    monkeypatch.setattr(config, "SEARCHED", ("config.yaml", str(tmp_path / "etc.yaml")))
    assert config.find() is None
    (tmp_path / "etc.yaml").touch()
    assert config.find() == tmp_path / "etc.yaml"
    (tmp_path / "config.yaml").touch()
    assert config.find() == Path("config.yaml")
    monkeypatch.setenv("ANDON_CONFIG", "/e.yaml")
    assert config.find() == Path("/e.yaml")
    assert config.find("/o.yaml") == Path("/o.yaml")


def refusal(text: str) -> str:
    """Return why a text is refused; empty where it is taken."""
    try:
        config.parse(text, "f.yaml")
    except Fatal as error:
        return error.reason
    return ""


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    assert re.match(r"f\.yaml(, line \d+)?: |$", refusal(text))


_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_NESTED = _PLAIN | st.lists(_PLAIN, max_size=3) | st.dictionaries(st.text(max_size=4), _PLAIN)
VALUES = _NESTED | st.lists(_NESTED, max_size=2)
PATHS = [tuple(key.split(".")) for key in expected(msgspec.inspect.type_info(Config))]


@given(st.sampled_from(PATHS), VALUES)
def test_any_value_of_any_key_is_taken_or_named(path: tuple[str, ...], value: Any) -> None:
    data = value
    for step in reversed(path):
        inside = step == "triggers" and path[-1] != "triggers"
        data = {step: [{"topic": "x", **data}] if inside else data}
    text = yaml.safe_dump(data, allow_unicode=True)
    reason = refusal(text)
    named = rf"f\.yaml, line \d+: ({path[0]}\b.*: found |not YAML: )"
    assert not reason or re.match(named, reason)


def test_the_plants_own_list_of_terms(tmp_path: Path) -> None:
    usual = config.parse(f"data: {tmp_path}", "x")
    assert usual.lexicon_file is None
    (tmp_path / "lexicon.txt").touch()
    assert usual.lexicon_file == tmp_path / "lexicon.txt"
    named = config.parse(f"data: {tmp_path}\nretriever: {{lexicon: /srv/words.txt}}", "x")
    assert named.lexicon_file == Path("/srv/words.txt")
