"""What the box allows its units: out of the configuration, and the same in the unit files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from services.limits import limits, profile_of, write
from services.runtime.config import Bridge, Broker, Config, Ingest, Orchestrator, Retriever
from services.runtime.errors import Fatal

pytestmark = pytest.mark.unit

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
_STRICT = ("ProtectSystem=strict", "CapabilityBoundingSet=")
"""What is within the data folder keeps to."""
_OUTSIDE = ("andon-backup", "andon-settle")
"""They read what is root's, and write elsewhere: a stick, or the system itself."""
_BOX = Config(broker=Broker(url="unix:///run/andon/broker.sock"))


def test_the_unit_files_hold_what_comes_out_for_the_defaults() -> None:
    for unit, settings in limits(_BOX, {}).items():
        lines = (UNITS / f"{unit}.service").read_text(encoding="utf-8").splitlines()
        assert [
            f"{key}={value}" for key, value in settings.items() if f"{key}={value}" not in lines
        ] == []


def test_memory_follows_the_budgets() -> None:
    config = msgspec.structs.replace(
        _BOX,
        orchestrator=Orchestrator(budget_mb=80),
        ingest=Ingest(reader_memory_mb=512),
    )
    profile = {"broker": {"memory_mb": 48}, "llama": {"memory_mb": 1200, "threads": 3}}
    found = limits(config, profile)
    assert found["andon-orchestrator"]["MemoryMax"] == "80M"
    assert found["andon-orchestrator"]["MemoryHigh"] == "70M"
    assert found["andon-ingest"]["MemoryMax"] == f"{64 + 192 + 512}M"
    assert found["andon-broker"]["MemoryMax"] == "48M"
    assert found["andon-llama"]["MemoryMax"] == "1200M"
    assert found["andon-llama"]["Environment"] == "LLAMA_ARG_THREADS=3"


def test_none_has_a_network_that_needs_none() -> None:
    for unit, settings in limits(_BOX, {}).items():
        assert "PrivateNetwork" not in settings, unit


@pytest.mark.parametrize(
    ("config", "unit", "allowed"),
    [
        (Config(llm_bridge=Bridge(url="http://10.0.0.5:8080")), "andon-llm-bridge", "any"),
        (
            Config(retriever=Retriever(rerank_url="http://127.0.0.1:8082")),
            "andon-retriever",
            "localhost",
        ),
        (Config(broker=Broker(url="mqtts://broker.plant:8883")), "andon-ingest", "any"),
        (Config(broker=Broker(url="mqtt://localhost:1883")), "andon-orchestrator", "localhost"),
    ],
)
def test_who_speaks_to_a_host_may(config: Config, unit: str, allowed: str) -> None:
    settings = limits(config, {})[unit]
    assert settings["PrivateNetwork"] == "no"
    assert settings["IPAddressAllow"] == allowed
    assert "AF_INET" in settings["RestrictAddressFamilies"]


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    assert len(write(tmp_path, _BOX, {})) == 7
    assert write(tmp_path, _BOX, {}) == []
    changed = write(tmp_path, _BOX, {"broker": {"memory_mb": 40}})
    assert [path.parent.name for path in changed] == ["andon-broker.service.d"]
    assert "MemoryMax=40M" in changed[0].read_text(encoding="utf-8")


def test_a_profile_says_what_it_says_of_the_box(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    assert profile_of(path) == {}
    path.write_text("up_to_mb: 3000\nbox:\n  broker: {memory_mb: 40}\n", encoding="utf-8")
    assert profile_of(path) == {"broker": {"memory_mb": 40}}
    path.write_text("box: [", encoding="utf-8")
    with pytest.raises(Fatal, match="profile"):
        profile_of(path)


def test_every_unit_of_a_service_names_the_same_things() -> None:
    """What holds for all of them stands in each, since systemd's files include no others."""
    for path in sorted(UNITS.glob("*.service")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in (
            *([] if path.name.startswith(_OUTSIDE) else _STRICT),
            "NoNewPrivileges=yes",
            "MemorySwapMax=0",
            "SystemCallFilter=@system-service",
            "RestrictSUIDSGID=yes",
            "PrivateDevices=yes",
            "PrivateTmp=yes",
        ):
            assert line in lines, (path.name, line)
