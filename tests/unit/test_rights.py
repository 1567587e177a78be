"""Roles limited to machines, names, and how the box's configuration comes about."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from services import access_list, access_text, broker_conf, plugin
from services.access_list import Access, Client, Password, Plant
from services.filters import meet
from services.rights import OWN, Rights
from services.roles import name_trouble, rights_in
from services.runtime.config import Config, Orchestrator, Trigger
from services.runtime.errors import Fatal

pytestmark = pytest.mark.unit


def reports(asset: str, *triggers: Trigger) -> tuple[str, ...]:
    """Where a controller of these machines may publish."""
    config = Config(orchestrator=Orchestrator(triggers=triggers))
    rights = rights_in("plc", "plc1", (asset,), config)
    return rights.publish + rights.else_publish


PLAIN = Trigger(topic="plant/+/fault")
DEEP = Trigger(topic="plant/#")
SCADA = Trigger(topic="scada/+/alarms/#", asset="{2}")
HALL = Trigger(topic="{}/+/+/fault".format("h"), asset="hall/{3}/{2}")
SAID = Trigger(topic="scada/faults", asset="{machine.id}")
NODES = Trigger(topic="spBv1.0/#", format="sparkplug")


@pytest.mark.parametrize(
    ("asset", "trigger", "topics"),
    [
        ("plant/motor7", PLAIN, ("plant/motor7/fault",)),
        ("plant/#", PLAIN, ("plant/+/fault",)),
        ("plant/motor7/#", PLAIN, ("plant/motor7/fault",)),
        ("plant/+", PLAIN, ("plant/+/fault",)),
        ("#", PLAIN, ("plant/+/fault",)),
        ("other/motor7", PLAIN, ()),
        ("plant/line1/#", DEEP, ("plant/line1/#",)),
        ("plant/line1/m1", DEEP, ("plant/line1/m1/+",)),
        ("motor7", SCADA, ("scada/motor7/alarms/#",)),
        ("motor7/#", SCADA, ("scada/motor7/alarms/#",)),
        ("motor7/a", SCADA, ()),
        ("#", SCADA, ("scada/+/alarms/#",)),
        ("hall/a/b", HALL, ("h/b/a/fault",)),
        ("hall/a/#", HALL, ("h/+/a/fault",)),
        ("yard/a/b", HALL, ()),
        ("motor7", SAID, ()),
        ("Press shop/edge1/#", NODES, ("spBv1.0/Press shop/+/edge1/#",)),
        ("Press shop/edge1", NODES, ("spBv1.0/Press shop/+/edge1/#",)),
        ("Press shop/#", NODES, ("spBv1.0/Press shop/#",)),
        ("Press shop/edge1/press4", NODES, ()),
    ],
)
def test_a_controller_of_some_machines(
    asset: str, trigger: Trigger, topics: tuple[str, ...]
) -> None:
    assert reports(asset, trigger) == topics


def test_each_trigger_gives_its_part() -> None:
    assert reports("plant/m", PLAIN, SCADA, DEEP) == ("plant/m/fault", "plant/m/+")


def test_a_role_that_has_nothing_left_is_told() -> None:
    client = Client(name="a", roles=("plc", "scanner"), assets=("x",), password=Password.of("x"))
    assert plugin.idle(client, Config()) == ["plc"]
    assert plugin.idle(msgspec.structs.replace(client, assets=()), Config()) == []


def test_rights_add_up_without_repeating() -> None:
    both = Rights(publish=("a", "b")) + Rights(publish=("b", "c"), read=("r",))
    assert both == Rights(publish=("a", "b", "c"), read=("r",))


@pytest.mark.parametrize("name", ["plc1", "Line-1.scanner_3", "7", "a" * 64])
def test_names_that_will_do(name: str) -> None:
    assert name_trouble(name, "andon") == ""


@pytest.mark.parametrize(
    "name", ["", "-a", "a b", "a/b", "a+", "#", "a" * 65, "a\n", *OWN, "site1-andon-orchestrator"]
)
def test_names_that_will_not(name: str) -> None:
    assert name_trouble(name, "site1/andon")


def test_the_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    client = Client(name="a", roles=("plc",), password=Password.of("x"))
    access = Access(own={"cli": Password.of("y")}).with_client(client)
    access_list.save(tmp_path, access, "")
    assert access_list.load(tmp_path) == access
    assert access.without("a").clients == ()
    assert access.with_client(client) == access


def test_a_damaged_or_missing_list_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="access init"):
        access_list.load(tmp_path)
    (tmp_path / access_list.FILE).write_text('{"own": ')
    with pytest.raises(Fatal, match="backup"):
        access_list.load(tmp_path)


def test_passwords_differ_and_can_be_typed() -> None:
    words = {access_list.new_password() for _ in range(100)}
    assert len(words) == 100
    assert not set("".join(words)) & set("O0oIl1i-_ ")
    assert Password.of("same") != Password.of("same")


def conf(**plant: object) -> str:
    return broker_conf.rendered(
        broker_conf.TEMPLATE.read_text(encoding="utf-8"),
        Plant(**plant),  # type: ignore[arg-type]
        etc=Path("/etc/andon"),
        state=Path("/var/lib/andon/broker"),
        run=Path("/run/andon"),
        plugin=Path("/usr/lib/plugin.so"),
    )


def listeners(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("listener")]


def test_only_chosen_listeners_are_there() -> None:
    inside = "listener 0 /run/andon/broker.sock"
    assert listeners(conf()) == [inside, "listener 8883"]
    assert listeners(conf(plain_port=1883)) == [inside, "listener 8883", "listener 1883"]
    assert listeners(conf(tls_port=0)) == [inside]
    assert "require_certificate true" in conf(certificates=True)
    assert "@" not in conf().split("\nper_listener_settings")[1]


def test_careful_and_at_ease_are_two_states_of_one_text() -> None:
    careful = conf()
    easy = broker_conf.at_ease(careful)
    assert careful != easy
    assert broker_conf.careful(easy) == broker_conf.careful(careful) == careful
    assert broker_conf.at_ease(easy) == easy


def test_every_listener_of_the_plant_takes_the_name_for_the_client_id() -> None:
    text = conf(plain_port=1883)
    assert text.count("use_username_as_clientid true") == 2
    assert "allow_anonymous false" in text


def test_what_is_told_is_enough_to_connect() -> None:
    client = Client(name="plc1", roles=("plc",), password=Password.of("x"))
    plant = Plant(hosts=("box.local",), plain_port=1883)
    told = access_text.connection(client, Rights(publish=("p/m/fault",)), plant, "word", "ca.crt")
    assert [way["url"] for way in told["ways"]] == [
        "mqtts://box.local:8883",
        "mqtt://box.local:1883",
    ]
    text = "\n".join(access_text.lines(told, {"authority": "ca.crt"}))
    for part in ("mqtts://box.local:8883", "plc1", "word", "ca.crt", "p/m/fault"):
        assert part in text
    kinds = [node["type"] for node in told["node_red"]]
    assert kinds == ["mqtt-broker", "tls-config", "mqtt out"]
    ids = {node["id"] for node in told["node_red"]}
    assert {node["broker"] for node in told["node_red"] if node["type"] == "mqtt out"} <= ids


def test_filters_of_roles_stay_within_andon() -> None:
    rights = rights_in("scanner", "s", ("plant/#",), Config())
    assert all(meet(topic, "andon/#") == topic for topic in rights.publish + rights.else_read)


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        (("vm", "vm.local", "192.168.7.4", "localhost", "127.0.0.1"), "192.168.7.4"),
        (("gateway.plant", "10.0.0.3"), "gateway.plant"),
        (("vm", "vm.local", "localhost", "127.0.0.1"), "vm"),
        ((), "localhost"),
    ],
)
def test_a_client_is_told_a_name_or_address_it_can_find(hosts: tuple[str, ...], told: str) -> None:
    client = Client(name="a", roles=("plc",), password=Password.of("word"))
    found = access_text.connection(client, Rights(), Plant(hosts=hosts), "word", "ca.crt")
    assert found["ways"][0]["url"] == f"mqtts://{told}:8883"
