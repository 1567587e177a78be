"""What only the real bus has: TLS, Unix sockets, passwords, access lists, odd brokers."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.runtime.address import BrokerAddress
from services.runtime.backoff import Backoff
from services.runtime.errors import DeadlineExceeded, Fatal, Rejected, Retryable, Unavailable
from services.runtime.mqtt import MqttBus
from tests.support.certificates import Authority
from tests.support.mosquitto import Mosquitto
from tests.support.worlds import QUICK, SOON_S, becomes

pytestmark = pytest.mark.integration

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def make(address: BrokerAddress, client_id: str = "a", **options: object) -> MqttBus:
    reply_topic = f"t/reply/{client_id}"
    return MqttBus(address, client_id, reply_topic=reply_topic, backoff=QUICK, **options)  # type: ignore[arg-type]


async def round_trips(bus: MqttBus, sizes: tuple[int, ...] = (0, 10, 70_000, 1_000_000)) -> None:
    """Several messages at once, so that more than one waits in TLS's buffer."""
    await bus.wait_connected(SOON_S)
    inbox = await bus.consume("t/x")
    payloads = [b"x" * size for size in sizes] * 5
    await asyncio.gather(*(bus.publish("t/x", payload) for payload in payloads))
    for payload in payloads:
        got = await asyncio.wait_for(inbox.get(), SOON_S)
        assert got.payload == payload
        bus.ack(got)


# -- TLS ----------------------------------------------------------------------------------------


async def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    with Mosquitto(tmp_path / "broker", tls=authority.sign("broker")) as broker:
        own = authority.sign("line-3")
        address = BrokerAddress.from_url(
            f"mqtts://127.0.0.1:{broker.port}",
            ca=str(own.ca),
            cert=str(own.cert),
            key=str(own.key),
        )
        async with make(address) as bus:
            await round_trips(bus)
            await broker.in_thread("restart")
            await becomes(lambda: bus.connected)
            await bus.publish("t/x", b"again")


async def test_tls_refuses_a_broker_of_another_authority(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "pki"), Authority(tmp_path / "other")
    with Mosquitto(tmp_path / "broker", tls=authority.sign("broker")) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        async with make(BrokerAddress.from_url(url, ca=str(other.pem))) as bus:
            await becomes(lambda: bus.last_error is not None)
            assert "certificate verify failed" in (bus.last_error or "")
            assert not bus.connected


async def test_tls_checks_the_name_of_the_broker(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    with Mosquitto(tmp_path / "broker", tls=authority.sign("broker")) as broker:
        url = f"mqtts://localhost:{broker.port}"
        async with make(BrokerAddress.from_url(url, ca=str(authority.pem))) as bus:
            await becomes(lambda: bus.last_error is not None)
            assert "match" in (bus.last_error or "")
            assert not bus.connected


async def test_the_broker_refuses_a_client_without_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    with Mosquitto(tmp_path / "broker", tls=authority.sign("broker")) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        async with make(BrokerAddress.from_url(url, ca=str(authority.pem))) as bus:
            await becomes(lambda: bus.last_error is not None)
            assert not bus.connected


def test_unreadable_certificates_stop_the_start(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("not a certificate")
    for ca in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(Fatal, match=ca.name):
            make(BrokerAddress.from_url("mqtts://127.0.0.1", ca=str(ca)))


# -- Unix sockets -------------------------------------------------------------------------------


async def test_a_unix_socket(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker", unix=True) as broker:
        async with make(BrokerAddress.from_url(f"unix://{broker.socket}")) as bus:
            await round_trips(bus)
            await broker.in_thread("restart")
            await becomes(lambda: bus.connected)
            await bus.publish("t/x", b"again")


async def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    async with make(BrokerAddress.from_url(f"unix://{tmp_path}/none.sock")) as bus:
        await becomes(lambda: bus.last_error is not None)
        assert "cannot connect" in (bus.last_error or "")


# -- who may do what ----------------------------------------------------------------------------


async def test_a_wrong_password_is_named_and_tried_again_slowly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Mosquitto(tmp_path / "broker", users={"andon": "right"}) as broker:
        for name, password in (("andon", "wrong"), (None, None)):
            address = BrokerAddress.from_url(broker.url, username=name, password=password)
            caplog.clear()
            async with make(address) as bus:
                await becomes(lambda: any(one.levelno == logging.ERROR for one in caplog.records))
                assert "check username and password" in (bus.last_error or "")
                with pytest.raises(Unavailable, match="check username"):
                    await bus.wait_connected(0.1)
            assert len(caplog.records) == 1
            assert "wrong" not in caplog.text
        users = {"username": "andon", "password": "right"}
        address = BrokerAddress.from_url(broker.url, **users)
        async with make(address) as bus:
            await round_trips(bus)


async def test_the_access_list_forbids_and_the_caller_learns_it(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite t/#\n")
    with Mosquitto(tmp_path / "broker", extra=f"acl_file {acl}") as broker:
        async with make(BrokerAddress.from_url(broker.url)) as bus:
            await bus.wait_connected(SOON_S)
            with pytest.raises(Rejected, match="access list"):
                await bus.publish("secret", b"")
            with pytest.raises(Rejected, match="access list"):
                await bus.request("secret", b"", deadline_s=3600)
            await round_trips(bus)


# -- processes that die -------------------------------------------------------------------------

_CHILD = """
import asyncio, sys
from services.runtime.address import BrokerAddress
from services.runtime.messages import Will
from services.runtime.mqtt import MqttBus

async def main():
    bus = MqttBus(
        BrokerAddress.from_url(sys.argv[1]), "child", reply_topic="t/reply/child",
        will=Will(topic="t/status/child", payload=b"offline"),
    )
    async with bus:
        inbox = await bus.consume("t/work")
        await bus.wait_connected(60)
        await bus.publish("t/status/child", b"ready", retain=True)
        await inbox.get()
        await bus.publish("t/status/child", b"working", retain=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_a_killed_process_leaves_its_will_and_its_work(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        address = BrokerAddress.from_url(broker.url)
        async with make(address, "watcher") as watcher:
            await watcher.wait_connected(SOON_S)
            status = await watcher.consume("t/status/child")
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _CHILD, broker.url, cwd=Path(__file__).parents[2]
            )
            try:
                assert (await asyncio.wait_for(status.get(), SOON_S)).payload == b"ready"
                await watcher.publish("t/work", b"E005")
                assert (await asyncio.wait_for(status.get(), SOON_S)).payload == b"working"
            finally:
                child.send_signal(signal.SIGKILL)
                await child.wait()
            assert (await asyncio.wait_for(status.get(), SOON_S)).payload == b"offline"
            async with make(address, "child") as heir:
                work = await asyncio.wait_for((await heir.consume("t/work")).get(), SOON_S)
                assert (work.payload, work.duplicate) == (b"E005", True)


async def test_a_broker_that_hangs_is_noticed(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        async with make(BrokerAddress.from_url(broker.url), keepalive=2) as bus:
            await round_trips(bus)
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                with pytest.raises(DeadlineExceeded, match="did not confirm"):
                    await bus.publish("t/x", b"", timeout=0.1)
                await becomes(lambda: not bus.connected)
                with pytest.raises(Unavailable):
                    await bus.publish("t/x", b"")
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            await bus.wait_connected(SOON_S)
            assert await bus.publish("t/x", b"")


async def test_what_waits_for_the_broker_has_a_limit(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        async with make(BrokerAddress.from_url(broker.url)) as bus:
            await bus.wait_connected(SOON_S)

            async def one() -> bool:
                return await bus.publish("t/x", b"")

            results = await asyncio.gather(*(one() for _ in range(10_500)), return_exceptions=True)
            refused = [result for result in results if result is not False]
            assert len(refused) == 500
            assert all(
                isinstance(error, Retryable) and "too many" in error.reason for error in refused
            )
            assert not await bus.publish("t/x", b"")


# -- brokers that misbehave ---------------------------------------------------------------------


@asynccontextmanager
async def odd_broker(talk: Talk) -> AsyncIterator[BrokerAddress]:
    """A server that says what `talk` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield BrokerAddress.from_url(f"mqtt://127.0.0.1:{port}")


async def packet(reader: asyncio.StreamReader) -> bytes:
    """One short packet."""
    head = await reader.readexactly(2)
    return head + await reader.readexactly(head[1])


async def welcome(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, subscriptions: int
) -> None:
    """CONNECT, CONNACK, then each SUBSCRIBE and its SUBACK."""
    assert (await packet(reader))[0] == 0x10
    writer.write(bytes.fromhex("2003 00 00 00"))
    for _ in range(subscriptions):
        subscribe = await packet(reader)
        assert subscribe[0] == 0x82
        writer.write(bytes.fromhex("9004") + subscribe[2:4] + bytes.fromhex("00 01"))


async def test_a_session_taken_over_is_named_when_the_broker_says_so() -> None:
    connects = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connects
        connects += 1
        await welcome(reader, writer, 1)
        writer.write(bytes.fromhex("e002 8e 00"))  # DISCONNECT, 142
        writer.close()

    async with odd_broker(talk) as address, make(address) as bus:
        await becomes(lambda: "took the session" in (bus.last_error or ""))
        with pytest.raises(Unavailable, match="give it another client id"):
            await bus.wait_connected(0.3)
        assert connects == 1


async def test_a_session_taken_over_is_taken_back_and_told_of_until_it_lasts() -> None:
    connects = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connects
        connects += 1
        await welcome(reader, writer, 1)
        if connects < 4:
            writer.write(bytes.fromhex("e002 8e 00"))  # DISCONNECT, 142
            writer.close()

    patience = Backoff(patient_first_s=0.01, patient_s=0.2)
    async with odd_broker(talk) as address:
        bus = MqttBus(address, "a", reply_topic="t/reply/a", backoff=patience)
        async with bus:
            await becomes(lambda: connects == 4 and bus.connected)
            assert bus.last_error is None
            assert "took the session" in (bus.disputed or "")
            await becomes(lambda: bus.disputed is None)
            assert connects == 4


async def test_a_refused_subscription_is_told_to_who_asked() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await welcome(reader, writer, 1)
        subscribe = await packet(reader)
        writer.write(bytes.fromhex("9004") + subscribe[2:4] + bytes.fromhex("00 87"))

    async with odd_broker(talk) as address, make(address) as bus:
        await bus.wait_connected(SOON_S)
        with pytest.raises(Rejected, match="secret"):
            await bus.consume("secret/#")
        assert len(bus._router.inboxes) == 1
        assert bus.connected


@pytest.mark.parametrize(
    "garbage",
    [
        "30 06 0001 61 02 7f 00",  # PUBLISH with a property that does not exist
        "30 07 0002 ff fe 00 78 78",  # PUBLISH whose topic is not UTF-8, then nothing
        "32 02 00 01",  # PUBLISH cut short
        "f0 00",  # a packet only clients send
    ],
)
async def test_a_broken_packet_costs_the_connection_at_most(garbage: str) -> None:
    connects = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connects
        connects += 1
        await welcome(reader, writer, 2)
        if connects == 1:
            writer.write(bytes.fromhex(garbage))
        writer.write(bytes.fromhex("30 05 0001 74 00 21"))  # PUBLISH t: !

    async with odd_broker(talk) as address:
        bus = make(address)
        inbox = await bus.consume("t")
        async with bus:
            assert (await asyncio.wait_for(inbox.get(), SOON_S)).payload == b"!"


async def test_a_connect_under_way_ends_with_the_bus() -> None:
    """The server accepts and says nothing; TLS waits for its handshake in a thread."""
    accepted = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        accepted.set()
        await asyncio.sleep(0.2)
        writer.close()

    async with odd_broker(talk) as address:
        tls = BrokerAddress.from_url(str(address).replace("mqtt:", "mqtts:"))
        async with make(tls) as bus:
            await asyncio.wait_for(accepted.wait(), SOON_S)
        assert not bus.connected
