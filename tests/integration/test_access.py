"""Who may do what at a box's broker: every role tries what it may not, seen by an observer."""

from __future__ import annotations

import grp
import os
import queue
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from schemas.channels import CALLS, REPLY, RPCS
from services import access_list, certificates, doctor
from services.rights import CONTROL, OWN, fixed_client_id
from services.roles import ROLES
from tests.support.box_broker import DENIED, BoxBroker, Client
from tests.support.mosquitto import program

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not program(), reason="mosquitto is not installed"),
]

MQTT_311 = int(paho.MQTTv311)
REFUSED_311 = 5
CLOSED = 1000
FORBIDDEN = (
    "andon/answer/plant/m",
    "andon/display/plant/m",
    "andon/alarm/plant/m",
    "andon/flood/plant",
    "andon/stream/plant/m",
    "andon/document/d",
    "andon/status/orchestrator",
    "andon/mark/orchestrator",
    "andon/rpc/retriever/search",
    "andon/rpc/ingest/remove",
    "andon/reply/andon-orchestrator",
    CONTROL,
)
"""What nobody of the plant may publish."""
HIDDEN = (
    "#",
    "+/+/+",
    "andon/#",
    "andon/rpc/#",
    "andon/reply/#",
    "andon/mark/#",
    "andon/rpc/retriever/search",
    "andon/reply/andon-orchestrator",
    "$CONTROL/#",
    "$share/g/andon/rpc/#",
)
"""What nobody of the plant may subscribe to."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxBroker]:
    with BoxBroker(tmp_path_factory.mktemp("box")) as running:
        yield running


@pytest.fixture(scope="module")
def people(box: BoxBroker) -> dict[str, str]:
    """The password of one user a role."""
    return {role: box.access("add", f"a-{role}", "--role", role)["password"] for role in ROLES}


class Observer:
    """Sees what the broker let through: by its own rights it would not."""

    def __init__(self, box: BoxBroker) -> None:
        self._orchestrator = box.inside("orchestrator")
        self._cli = box.inside("cli", "andon-cli-observer")
        for client, topic in (
            (self._orchestrator, "plant/+/fault"),
            (self._orchestrator, "andon/ask/#"),
            (self._orchestrator, "andon/feedback/+"),
            (self._orchestrator, "andon/mark/orchestrator"),
            (self._orchestrator, "andon/reply/andon-orchestrator"),
            (self._cli, "andon/answer/#"),
            (self._cli, "andon/display/#"),
            (self._cli, "andon/stream/#"),
            (self._cli, "andon/alarm/#"),
            (self._cli, "andon/flood/#"),
            (self._cli, "andon/document/+"),
            (self._cli, "andon/status/+"),
        ):
            assert client.subscribe(topic) < 128

    def seen(self) -> list[str]:
        """The topics of all that came, up to a message of each one's own."""
        topics = list[str]()
        self._cli.publish("plant/fence/fault", b"fence")
        self._orchestrator.publish("andon/alarm/fence", b"fence")
        for client in (self._orchestrator, self._cli):
            while (message := client.next()).payload != b"fence":
                topics.append(message.topic)
        return topics

    def close(self) -> None:
        self._orchestrator.close()
        self._cli.close()


@pytest.fixture
def observer(box: BoxBroker) -> Iterator[Observer]:
    watching = Observer(box)
    yield watching
    watching.close()


@pytest.mark.parametrize("version", [paho.MQTTv5, MQTT_311])
@pytest.mark.parametrize("role", ROLES)
def test_no_role_speaks_for_a_service(
    box: BoxBroker, people: dict[str, str], observer: Observer, role: str, version: int
) -> None:
    with box.outside(f"a-{role}", people[role], version=version) as client:
        assert client.connected == 0
        said = [client.publish(topic, b"forged", retain=True) for topic in FORBIDDEN]
    # A broker tells a client of MQTT 3.1.1 that all went well; the observer knows better.
    assert set(said) == ({DENIED} if version == paho.MQTTv5 else {0})
    assert observer.seen() == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_hears_what_the_services_say_to_each_other(
    box: BoxBroker, people: dict[str, str], role: str
) -> None:
    with (
        box.outside(f"a-{role}", people[role]) as client,
        box.inside("cli", "andon-cli-1") as cli,
        box.inside("retriever") as retriever,
    ):
        assert [client.subscribe(topic) for topic in HIDDEN] == [DENIED] * len(HIDDEN)
        for rpc in RPCS:
            assert cli.publish(rpc.topic()) != DENIED
        assert retriever.publish("andon/reply/andon-cli-1") != DENIED
        assert client.publish("andon/ask/nobody") in {0, 16, DENIED}  # behind all that came
        with pytest.raises(queue.Empty):
            client.got.get_nowait()


def test_a_controller_reports_faults_and_nothing_else(
    box: BoxBroker, people: dict[str, str], observer: Observer
) -> None:
    with box.outside("a-plc", people["plc"]) as client:
        assert client.publish("plant/m/fault", b"E005") == 0
        for topic in ("plant/m/state", "andon/ask/a-plc", "andon/feedback/x"):
            assert client.publish(topic) == DENIED
        for topic in ("plant/+/fault", "andon/answer/plant/m", "andon/status/+", "$SYS/#"):
            assert client.subscribe(topic) == DENIED
    assert observer.seen() == ["plant/m/fault"]


def test_a_controller_may_be_limited_to_its_machines(box: BoxBroker, observer: Observer) -> None:
    word = box.access("add", "line1", "--role", "plc", "--asset", "plant/line1")["password"]
    with box.outside("line1", word, version=MQTT_311) as client:
        client.publish("plant/line1/fault", b"E005")
        client.publish("plant/line2/fault", b"E005")
    assert observer.seen() == ["plant/line1/fault"]


def test_a_scanner_asks_and_reads_its_own_answers_and_those_of_machines(
    box: BoxBroker, people: dict[str, str], observer: Observer
) -> None:
    with (
        box.outside("a-scanner", people["scanner"]) as scanner,
        box.inside("orchestrator", "andon-orchestrator") as orchestrator,
    ):
        for kind in ("answer", "display", "stream"):
            assert scanner.subscribe(f"andon/{kind}/#") < 128
            assert scanner.subscribe(f"andon/{kind}/ask/a-scanner") < 128
            assert scanner.subscribe(f"andon/{kind}/ask/another") == DENIED
        for topic in ("andon/ask/#", "andon/feedback/+", "plant/+/fault", "andon/document/+"):
            assert scanner.subscribe(topic) == DENIED
        assert orchestrator.publish("andon/answer/ask/another", b"not yours") != DENIED
        assert orchestrator.publish("andon/display/plant/m", b"machine") != DENIED
        assert orchestrator.publish("andon/answer/ask/a-scanner", b"yours") != DENIED
        got = [scanner.next().payload, scanner.next().payload]
        while not scanner.got.empty():
            got.append(scanner.next().payload)
        assert set(got) == {b"machine", b"yours"}
        for topic in ("andon/ask/another", "plant/m/fault"):
            assert scanner.publish(topic) == DENIED


def test_a_scanner_may_be_limited_to_its_machines(box: BoxBroker) -> None:
    word = box.access("add", "s-line1", "--role", "scanner", "--asset", "plant/line1/#")["password"]
    with box.outside("s-line1", word) as scanner, box.inside("orchestrator") as orchestrator:
        assert scanner.subscribe("andon/answer/#") == DENIED
        assert scanner.subscribe("andon/answer/plant/line2") == DENIED
        assert scanner.subscribe("andon/display/plant/line1/#") < 128
        assert scanner.subscribe("andon/answer/ask/s-line1") < 128
        orchestrator.publish("andon/display/plant/line2", b"2")
        orchestrator.publish("andon/display/plant/line1", b"1")
        assert scanner.next().payload == b"1"


@pytest.mark.parametrize("role", ["dashboard", "metrics"])
def test_who_only_reads_publishes_nothing(
    box: BoxBroker, people: dict[str, str], observer: Observer, role: str
) -> None:
    with box.outside(f"a-{role}", people[role]) as client:
        for topic in ("answer/#", "alarm/#", "flood/#", "status/+", "document/+"):
            assert client.subscribe(f"andon/{topic}") < 128
        for topic in ("plant/m/fault", f"andon/ask/a-{role}", "andon/feedback/x"):
            assert client.publish(topic) == DENIED
    assert observer.seen() == []


def test_both_roles_of_one_user_count(box: BoxBroker, observer: Observer) -> None:
    word = box.access("add", "node-red", "--role", "plc", "--role", "dashboard")["password"]
    with box.outside("node-red", word) as client:
        assert client.subscribe("andon/answer/#") < 128
        assert client.publish("plant/m/fault") == 0
    assert observer.seen() == ["plant/m/fault"]


@pytest.mark.parametrize(("version", "refused"), [(paho.MQTTv5, DENIED), (MQTT_311, REFUSED_311)])
def test_who_does_not_know_the_password_is_refused(
    box: BoxBroker, people: dict[str, str], version: int, refused: int
) -> None:
    def refusal(user: str | None, word: str | None, **options: Any) -> int:
        with box.outside(user, word, version=version, **options) as client:
            return client.connected

    found = []
    for plain in ({}, {"tls": False, "port": box.plain_port}):
        found += [
            refusal("a-plc", "wrong", **plain),
            refusal("a-plc", people["scanner"], **plain),
            refusal("a-plc", "", **plain),
            refusal("nobody", people["plc"], **plain),
            refusal(None, None, **plain),
        ]
    # paho makes 135 of MQTT 3.1.1's code 5.
    assert set(found) <= {refused, DENIED}
    assert len(found) == 10


def test_plain_text_and_a_foreign_broker_are_refused_where_tls_is_set(
    box: BoxBroker, people: dict[str, str]
) -> None:
    with box.outside("a-plc", people["plc"], tls=False) as client:
        assert client.connected == CLOSED
    with box.outside("a-plc", people["plc"], tls=False, port=box.plain_port) as client:
        assert client.connected == 0  # chosen for this box


def test_no_plain_port_is_open_unless_chosen(tmp_path: Path) -> None:
    with BoxBroker(tmp_path, "--plain-port", "0") as box:
        word = box.access("add", "a", "--role", "plc")["password"]
        with pytest.raises(ConnectionRefusedError):
            box.outside("a", word, tls=False, port=box.plain_port)
        with box.outside("a", word) as client:
            assert client.connected == 0


def test_nobody_takes_the_client_id_of_a_service(box: BoxBroker, people: dict[str, str]) -> None:
    with box.inside("orchestrator", session=True) as orchestrator:
        assert orchestrator.subscribe("plant/+/fault") < 128
        for role, word in people.items():
            for port, tls in ((box.tls_port, True), (box.plain_port, False)):
                with box.outside(
                    f"a-{role}", word, "andon-orchestrator", session=True, port=port, tls=tls
                ) as thief:
                    assert thief.connected == 0  # but under its own name
            with Client(box, f"a-{role}", word, "andon-orchestrator", unix=True) as thief:
                assert thief.connected == DENIED
        for other in OWN:
            if other not in {"orchestrator", "cli"}:
                with box.inside(other, "andon-orchestrator") as thief:
                    assert thief.connected == DENIED
        # A service's password is of no use in the plant: there the name is the client id.
        with box.outside(
            "orchestrator", box.password("orchestrator"), "andon-orchestrator"
        ) as thief:
            assert thief.connected == DENIED
        with box.inside("cli", "andon-cli-2") as cli:
            cli.publish("plant/m/fault", b"still here")
        assert orchestrator.next().payload == b"still here"


@pytest.mark.parametrize("name", ["orchestrator", "cli", "access", "andon-ingest", "andon-x"])
def test_nobody_gets_the_name_of_a_service(box: BoxBroker, name: str) -> None:
    done = box.try_access("add", name, "--role", "plc")
    assert done.returncode == 1
    assert "Andon's own" in done.stderr


@pytest.mark.parametrize("version", [paho.MQTTv5, MQTT_311])
def test_a_packet_that_is_too_large_ends_the_connection(
    box: BoxBroker, people: dict[str, str], observer: Observer, version: int
) -> None:
    with box.outside("a-plc", people["plc"], version=version) as client:
        client._client.publish("plant/m/fault", b"x" * (2 * 1024 * 1024 + 1), 1)
        assert client.gone()
    assert observer.seen() == []


def test_every_service_reaches_every_other_as_the_registry_says(box: BoxBroker) -> None:
    for rpc in RPCS:
        for caller in (name for name, rpcs in CALLS.items() if rpc in rpcs):
            own = fixed_client_id(caller, "andon") or "andon-cli-3"
            with box.inside(rpc.service) as server, box.inside(caller, own) as client:
                reply = REPLY.topic(client_id=own)
                assert server.subscribe(rpc.topic()) < 128
                assert client.subscribe(reply) < 128
                assert client.publish(rpc.topic(), b"request") == 0
                assert server.next().payload == b"request"
                assert server.publish(reply, b"reply") == 0
                assert client.next().payload == b"reply"


def test_revoking_ends_the_connection_at_once_and_for_good(box: BoxBroker) -> None:
    word = box.access("add", "leaver", "--role", "dashboard")["password"]
    pid = box.pid
    with box.outside("leaver", word, session=True) as client, box.inside("ingest") as ingest:
        assert client.subscribe("andon/document/+") < 128
        assert box.access("revoke", "leaver") == {"revoked": ["leaver"]}
        assert client.gone()
        with box.outside("leaver", word, session=True) as again:
            assert again.connected == DENIED
        assert ingest.publish("andon/document/1") == 16  # nobody is there for it
    assert box.pid == pid
    assert "leaver" not in [one["name"] for one in box.access("list")["clients"]]
    box.stop()
    box.start()
    with box.outside("leaver", word) as again:
        assert again.connected == DENIED


def test_the_others_stay_connected_when_access_changes(
    box: BoxBroker, people: dict[str, str]
) -> None:
    with box.outside("a-dashboard", people["dashboard"]) as client:
        assert client.subscribe("andon/alarm/#") < 128
        box.access("add", "passer-by", "--role", "admin")
        box.access("revoke", "passer-by")
        with box.inside("orchestrator") as orchestrator:
            orchestrator.publish("andon/alarm/m", b"on")
        assert client.next().payload == b"on"


def test_what_is_given_while_the_broker_is_down_counts_when_it_is_up(tmp_path: Path) -> None:
    box = BoxBroker(tmp_path)
    done = box.try_access("add", "early", "--role", "plc", "--json")
    assert done.returncode == 0
    assert "cannot be told now" in done.stderr
    assert box.access("list")["clients"][0]["name"] == "early"
    word = next(line for line in done.stdout.splitlines() if '"password"' in line).split('"')[3]
    with box, box.outside("early", word) as client:
        assert client.connected == 0


def test_one_that_cannot_be_ended_is_told_and_not_called_revoked(tmp_path: Path) -> None:
    with BoxBroker(tmp_path) as box:
        box.access("add", "leaver", "--role", "dashboard")
        (box.etc / "credentials" / "access").write_text("not what the broker knows\n")
        done = box.try_access("revoke", "leaver")
        assert done.returncode == 69, done.stdout
        assert "who is connected stays so" in done.stderr
        assert box.access("list")["clients"] == []


def test_a_certificate_may_be_asked_for_beside_the_password(tmp_path: Path) -> None:
    with BoxBroker(tmp_path, "--client-certificates") as box:
        told = box.access("add", "a", "--role", "plc", "--certificate")
        pair = (told["files"]["cert"], told["files"]["key"])
        with box.outside("a", told["password"], certificate=pair) as client:
            assert client.connected == 0
        with box.outside("a", "wrong", certificate=pair) as client:
            assert client.connected == DENIED
        with box.outside("a", told["password"]) as client:
            assert client.connected == CLOSED
        box.access("revoke", "a")
        assert not Path(pair[1]).exists()


def test_certificates_are_renewed_and_clients_stay_as_they_are(tmp_path: Path) -> None:
    box = BoxBroker(tmp_path)
    with box:
        word = box.access("add", "a", "--role", "plc")["password"]
    ca, server = box.ca.read_bytes(), (box.ca.parent / "server.crt").read_bytes()
    assert box.access("renew")["made"] == ["server.crt"]
    assert box.ca.read_bytes() == ca
    assert (box.ca.parent / "server.crt").read_bytes() != server
    with box, box.outside("a", word) as client:
        assert client.connected == 0
    box.access("renew", "--authority")
    assert box.ca.read_bytes() != ca
    told = subprocess.run(
        [
            "openssl",
            "x509",
            "-in",
            box.ca.parent / "server.crt",
            "-noout",
            "-checkend",
            "315000000",
            "-ext",
            "subjectAltName",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0  # still good in nearly ten years
    assert "DNS:localhost, IP Address:127.0.0.1" in told.stdout


def test_the_doctor_says_which_certificate_ends_and_how_it_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = BoxBroker(tmp_path, "--client-certificates")
    with box:
        told = box.access("add", "a", "--role", "plc", "--certificate")

    def look() -> dict[str, tuple[str, str]]:
        found = doctor._certificates(box.ca.parent, access_list.load(box.etc))
        return {one.said.split()[0]: (one.level, one.hint) for one in found}

    assert {level for level, _ in look().values()} == {"ok"}
    monkeypatch.setattr(certificates, "DAYS", 20)
    tls = certificates.Certificates(box.ca.parent, grp.getgrgid(os.getegid()).gr_name)
    tls.make_authority()
    tls.make_server(("localhost",))
    tls.make_client("a")
    found = look()
    assert set(found) == {"ca.crt", "server.crt", "clients/a.crt"}
    assert {level for level, _ in found.values()} == {"note"}
    # What it says to do is done, and it is well.
    for _, hint in found.values():
        command = hint.split("`")[1].split()
        assert command[:2] == ["andon", "access"]
        box.access(*command[2:])
    assert {level for level, _ in look().values()} == {"ok"}
    with box:
        pair = (told["files"]["cert"], told["files"]["key"])
        with box.outside("a", told["password"], certificate=pair) as client:
            assert client.connected == 0
    box.ca.write_text("no certificate")
    assert look()["ca.crt:"][0] == "problem"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--client", "nobody"), "nobody of that name"),
        (("--client", "plain"), "it has no certificate"),
        (("--client", "plain", "--authority"), "is for itself"),
    ],
)
def test_what_cannot_be_renewed_is_told(box: BoxBroker, options: tuple[str, ...], why: str) -> None:
    if "plain" in options and not any(
        one["name"] == "plain" for one in box.access("list")["clients"]
    ):
        box.access("add", "plain", "--role", "dashboard")
    assert why in box.try_access("renew", *options).stderr


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto-clients is missing")
def test_mosquittos_own_client_reports_with_a_certificate(tmp_path: Path) -> None:
    with BoxBroker(tmp_path, "--client-certificates") as box:
        told = box.access("add", "press", "--role", "plc", "--certificate")
        files = told["files"]

        def report(*more: str) -> subprocess.CompletedProcess[str]:
            where = ("-h", "localhost", "-p", str(box.tls_port), "--cafile", files["authority"])
            who = ("-V", "mqttv5", "-i", "press", "-u", "press", "-P", told["password"])
            what = ("-q", "1", "-t", "plant/press/fault", "-m", "E005")
            return subprocess.run(
                ["mosquitto_pub", *where, *who, *what, *more],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        pair = ("--cert", files["cert"], "--key", files["key"])
        with box.inside("orchestrator") as orchestrator:
            orchestrator.subscribe("plant/+/fault")
            assert report().returncode
            done = report(*pair)
            assert done.returncode == 0, done.stderr
            assert orchestrator.next().payload == b"E005"
            box.access("renew", "--client", "press")
            done = report(*pair)
            assert done.returncode == 0, done.stderr
            box.access("revoke", "press")
            assert report(*pair).returncode


def test_init_again_changes_nothing(tmp_path: Path) -> None:
    box = BoxBroker(tmp_path)
    before = {path: path.read_bytes() for path in box.etc.rglob("*") if path.is_file()}
    assert box.access("init")["made"] == []
    assert {path: path.read_bytes() for path in box.etc.rglob("*") if path.is_file()} == before


def test_passwords_are_nobody_elses_business(tmp_path: Path) -> None:
    box = BoxBroker(tmp_path)
    box.access("init", "--client-certificates")
    told = box.try_access("add", "a", "--role", "plc", "--json")
    secret = [*(box.etc / "credentials").iterdir(), *box.etc.rglob("*.key")]
    assert len(secret) == len(OWN) + 3
    for path in secret:
        others = 0o037 if path.name == "server.key" else 0o077  # the broker's group reads that
        assert path.stat().st_mode & others == 0, path
    assert (box.etc / "access.json").stat().st_mode & 0o037 == 0
    listed = box.try_access("list", "--json").stdout + (box.etc / "access.json").read_text()
    word = next(line for line in told.stdout.splitlines() if '"password"' in line).split('"')[3]
    assert word not in listed
    for name in OWN:
        assert box.password(name) not in listed
