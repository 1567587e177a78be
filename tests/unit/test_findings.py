from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.health import ServiceStatus
from services import findings
from services.findings import Finding

pytestmark = pytest.mark.unit

GIB = 1 << 30
NOW = 1_800_000_000.0


def levels(found: object) -> list[str]:
    return [one.level for one in found]  # type: ignore[attr-defined]


def look(**more: object) -> list[Finding]:
    seen = {"free": 9 * GIB, "total": 30 * GIB, "inodes": 99999, "kind": "ext4", **more}
    return list(findings.disk("/var/lib/andon", **seen))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "level", "said"),
    [
        ({}, "ok", "9.0 of 30.0 GiB free"),
        ({"free": GIB // 2}, "note", "0.5 of"),
        ({"free": 1000}, "problem", "no longer taken"),
        ({"inodes": 3}, "problem", "3 more files"),
        ({"kind": "vfat"}, "problem", "vfat"),
        ({"inodes": -1, "kind": "btrfs"}, "ok", "GiB free"),
    ],
)
def test_the_disk(more: dict[str, object], level: str, said: str) -> None:
    last = look(**more)[-1]
    assert last.level == level
    assert said in last.said
    assert bool(last.hint) == (level != "ok")


@pytest.mark.parametrize(
    ("now", "newest", "synchronised", "level"),
    [
        (NOW, NOW - 5, True, "ok"),
        (NOW, NOW + 60, None, "ok"),
        (NOW, NOW - 5, False, "note"),
        (NOW, NOW + 3600, True, "problem"),
        (1000.0, 0.0, None, "problem"),
    ],
)
def test_the_clock(now: float, newest: float, synchronised: bool | None, level: str) -> None:
    assert levels(findings.clock(now, newest, synchronised=synchronised)) == [level]


@given(st.integers(0, 1 << 34), st.integers(1 << 20, 1 << 34), st.floats(0, 10_000))
def test_little_memory_is_never_called_well(free: int, total: int, budgets: float) -> None:
    found = findings.memory(free, total, budgets)
    if free < total / 20:
        assert found.level == "problem"
    assert found.level == "ok" or found.hint


def status(**more: object) -> ServiceStatus:
    said = {"service": "ingest", "state": "ready", "version": "1.0", "budget_mb": 64.0, **more}
    return ServiceStatus(**said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, "never heard of"),
        (status(state="offline", reason="the process is not running"), "not running"),
        (status(state="degraded", reason="the disk is full"), "disk is full"),
        (status(version="0.9"), "runs version 0.9, 1.0 is installed"),
        (status(memory_mb=70.0), "takes 70 of 64"),
        (status(facts={"client_id_disputed": 4}), "another client"),
    ],
)
def test_a_service_in_trouble(said: ServiceStatus | None, expected: str) -> None:
    found = list(findings.service("ingest", said, version="1.0", systemd=False))
    assert expected in found[-1].said
    assert found[-1].hint


def test_a_service_that_is_well_is_one_line_and_units_are_named_as_systemd_does() -> None:
    found = list(findings.service("llm_bridge", status(), version="1.0", systemd=True))
    assert levels(found) == ["ok"]
    rests = status(state="offline", reason="it rests", facts={"resting": True})
    assert levels(list(findings.service("ingest", rests, version="1.0", systemd=True))) == ["ok"]
    (away,) = findings.service("llm_bridge", None, version="1.0", systemd=True)
    assert "systemctl start andon-llm-bridge" in away.hint


@pytest.mark.parametrize(
    ("facts", "url", "level"),
    [
        ({}, "", "ok"),
        ({"reachable": False}, "http://127.0.0.1:8080", "problem"),
        ({"reachable": True, "breaker": "open"}, "http://127.0.0.1:8080", "problem"),
        ({"reachable": True, "model": "m", "context": 8}, "http://127.0.0.1:8080", "ok"),
    ],
)
def test_the_model(facts: dict[str, bool | str], url: str, level: str) -> None:
    assert findings.model(facts, url=url).level == level


def test_a_model_that_cannot_be_asked_says_why_and_what_to_do() -> None:
    facts = {"reachable": False, "unreachable": "its certificate has expired", "mend": "renew it"}
    found = findings.model(facts, url="https://10.0.0.7:8080")
    assert found.said == "its certificate has expired"
    assert found.hint.startswith("renew it")


def test_units() -> None:
    failed = findings.unit("andon-ingest.service", state="failed", result="oom-kill", restarts=9)
    assert failed is not None
    assert failed.level == "problem"
    assert "oom-kill" in failed.said
    again = findings.unit("a", state="active", result="success", restarts=2)
    assert again is not None
    assert again.level == "note"
    assert findings.unit("a", state="inactive", result="success", restarts=0) is None


def test_a_port_nobody_listens_on() -> None:
    assert findings.port(8883, tls=True, open_=True).level == "ok"
    assert findings.port(1883, tls=False, open_=False).level == "problem"


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        (-1, "problem", "ca.crt ended on "),
        (0, "problem", "ca.crt ended on "),
        (29, "note", "in 29 days"),
        (31, "ok", "is good until "),
    ],
)
def test_certificates(days: int, level: str, said: str) -> None:
    found = findings.certificate("ca.crt", NOW + days * 86400, "renew it", now=NOW)
    assert found.level == level
    assert said in found.said


@pytest.mark.parametrize(
    ("made", "failed", "level", "said"),
    [
        (NOW - 3600, "", "ok", "1 hours old"),
        (NOW - 5 * 86400, "", "problem", "5 days old"),
        (0.0, "", "note", "none was made"),
        (NOW - 3600, "2026-11-20T02:30:00.000Z", "problem", "the disk is full"),
    ],
)
def test_backups(made: float, failed: str, level: str, said: str) -> None:
    found = findings.backup(made, failed, "the disk is full", now=NOW)
    assert found.level == level
    assert said in found.said


@pytest.mark.parametrize(
    ("mode", "secret", "bad"),
    [(0o640, True, False), (0o644, True, True), (0o644, False, False), (0o666, False, True)],
)
def test_permissions(mode: int, secret: bool, bad: bool) -> None:
    assert (findings.private("config.yaml", mode, secret=secret) is not None) == bad
