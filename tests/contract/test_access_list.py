"""The broker's access list says what the registry says: each service all of its own, no more."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from schemas import channels
from schemas.channel import Channel, Rpc
from schemas.channels import CALLS, CHANNELS, MARK, REPLY, RPCS, STATUS
from schemas.health import SERVICES
from services import plugin
from services.access_list import Access, Client, Password
from services.rights import CLI, CONTROL, KEEPER, METRICS, OWN, fixed_client_id, internal
from services.roles import ROLES
from services.runtime.config import Config, Orchestrator, Trigger
from tests.support.allowed import Judge

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
PASSWORD = Password.of("x")
PREFIXES = ["andon", "site1/andon"]
PLANT = tuple(Client(name=f"a-{role}", roles=(role,), password=PASSWORD) for role in ROLES)
PEOPLE = tuple(client.name for client in PLANT)
ALL = (*OWN, *PEOPLE)
BIRTHS = Trigger(topic="spBv1.0/Press shop/#", format="sparkplug")
PROCESSES = (*SERVICES, METRICS)


def judge(prefix: str = "andon", *triggers: Trigger, clients: tuple[Client, ...] = PLANT) -> Judge:
    plant = Orchestrator(triggers=triggers or (Trigger(topic="plant/+/fault"),))
    config = Config(prefix=prefix, orchestrator=plant)
    access = Access(own=dict.fromkeys(OWN, PASSWORD), clients=clients)
    return Judge(plugin.document(access, config))


def example(channel: Channel, prefix: str) -> str:
    names = re.findall(r"\{(\w+)\}", channel.address)
    return channel.topic(prefix, **dict.fromkeys(names, "x"))


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_each_request_reaches_who_answers_it_from_those_who_ask_it(prefix: str, rpc: Rpc) -> None:
    says, topic = judge(prefix), rpc.topic(prefix)
    callers = {name for name, rpcs in CALLS.items() if rpc in rpcs}
    assert {user for user in ALL if says.publishes(user, topic)} == callers
    assert {user for user in ALL if says.receives(user, topic)} == {rpc.service}
    assert says.subscribes(rpc.service, topic)
    for caller in callers:
        reply = REPLY.topic(prefix, client_id=fixed_client_id(caller, prefix) or "andon-cli-1-a")
        assert says.publishes(rpc.service, reply)
        assert says.reads(caller, reply)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_each_message_reaches_its_readers_from_its_owner(prefix: str, channel: Channel) -> None:
    says, topic = judge(prefix), example(channel, prefix)
    writers = {user for user in ALL if says.publishes(user, topic)}
    readers = {user for user in ALL if says.reads(user, topic)}
    if channel.owner in SERVICES:
        assert writers == {channel.owner}
    if channel.owner in SERVICES and channel.retain:
        assert channel.owner in readers  # it looks at what it had retained
    assert set(channel.readers) & set(SERVICES) <= readers
    if "client" in channel.readers:
        assert {"a-dashboard", "a-admin", CLI} <= readers
    if set(channel.readers) == {"service"}:
        assert writers | readers <= set(OWN)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_service_says_how_it_is_and_no_other_does(prefix: str) -> None:
    says = judge(prefix)
    for name in PROCESSES:
        for channel in (STATUS, MARK):
            topic = channel.topic(prefix, service=name)
            assert {user for user in ALL if says.publishes(user, topic)} == {name}
        assert says.reads(name, MARK.topic(prefix, service=name))
        assert says.reads(name, STATUS.filter(prefix))
        own = REPLY.topic(prefix, client_id=fixed_client_id(name, prefix))
        assert {user for user in ALL if says.receives(user, own)} == {name, CLI}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_nobody_of_the_plant_reaches_what_is_between_the_services(prefix: str) -> None:
    says = judge(prefix)
    topics = [rpc.topic(prefix) for rpc in RPCS]
    topics += [example(channel, prefix) for channel in (REPLY, MARK)]
    for role in PEOPLE:
        for topic in topics:
            assert not says.publishes(role, topic)
            assert not says.receives(role, topic)
        for topic in (*internal(prefix), "#", f"{prefix}/#", "$CONTROL/#"):
            assert not says.subscribes(role, topic)


def test_only_one_says_who_may_what() -> None:
    says = judge()
    for topic in (CONTROL, f"{CONTROL}/response"):
        assert {user for user in ALL if says.publishes(user, topic)} <= {KEEPER}
        assert {user for user in ALL if says.receives(user, topic)} <= {KEEPER}
    assert says.publishes(KEEPER, CONTROL)
    assert says.reads(KEEPER, f"{CONTROL}/response")


def test_copies_of_answers_go_where_they_may_and_nowhere_into_andon() -> None:
    says = judge()
    assert says.publishes("orchestrator", "scanner9/answers")
    for topic in ("andon/document/x", "andon/ask/x", "andon/rpc/ingest/add", "$SYS/x"):
        assert not says.publishes("orchestrator", topic)


def test_births_are_asked_for_where_there_is_sparkplug() -> None:
    config = Config(
        orchestrator=Orchestrator(triggers=(BIRTHS,), answer_topics=("displays/#",)),
    )
    says = Judge(plugin.document(Access(own=dict.fromkeys(OWN, PASSWORD)), config))
    assert says.publishes("orchestrator", "spBv1.0/Press shop/NCMD/edge1")
    assert says.reads("orchestrator", "spBv1.0/Press shop/#")
    assert not says.publishes("orchestrator", "spBv1.0/Press shop/NDATA/edge1")


def test_an_edge_node_reads_its_commands_and_gives_none() -> None:
    node = Client(name="e1", roles=("plc",), assets=("Press shop/edge1/#",), password=PASSWORD)
    says = judge("andon", BIRTHS, clients=(node,))
    for topic in ("spBv1.0/Press shop/NBIRTH/edge1", "spBv1.0/Press shop/DDATA/edge1/press4"):
        assert says.publishes("e1", topic)
    assert not says.publishes("e1", "spBv1.0/Press shop/NBIRTH/edge2")
    assert not says.publishes("e1", "spBv1.0/Press shop/NCMD/edge1")
    assert says.reads("e1", "spBv1.0/Press shop/NCMD/edge1/#")
    assert not says.receives("e1", "spBv1.0/Press shop/NCMD/edge2")


@pytest.mark.parametrize("role", PEOPLE)
def test_a_role_publishes_nothing_that_a_service_owns(role: str) -> None:
    says = judge()
    owned = [c for c in CHANNELS if c.owner in {*SERVICES, "service"}]
    assert not [c.name for c in owned if says.publishes(role, example(c, "andon"))]


def test_what_each_service_asks_is_what_the_registry_says_it_asks() -> None:
    rpcs = {name: value for name, value in vars(channels).items() if isinstance(value, Rpc)}
    for room in SERVICES:
        asked = set()
        for path in (ROOT / "services" / room).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            froms = (n for n in nodes if isinstance(n, ast.ImportFrom))
            imported = {
                one.name for n in froms if n.module == "schemas.channels" for one in n.names
            }
            used = {n.id for n in nodes if isinstance(n, ast.Name)}
            asked |= {rpcs[name] for name in imported & used & set(rpcs)}
        asked = {rpc for rpc in asked if rpc.service != room}
        assert {rpc.name for rpc in asked} == {rpc.name for rpc in CALLS.get(room, ())}, room
