"""What this box allows each unit: memory, time and network, as drop-ins for systemd.

The budgets of the configuration are the one list of them; what is no service of ours comes from
the profile. `andon limits --to FOLDER` writes `<unit>.d/50-limits.conf` for each unit; the unit
files in deploy/systemd hold what comes out for the defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from services.runtime.config import Config
from services.runtime.errors import Fatal

PROFILE = Path("/etc/andon/profile.yaml")
NAME = "50-limits.conf"
_BROKER_MB = 32
_ZYGOTE_MB = 192
"""What the readers of documents are forked from, MiB; tests/bench's section `box` measures it."""
_STOP_MORE_S = 5.0
"""What systemd adds to `stop_within_s` before it kills."""
_HEAD = "# Written by `andon limits` from config.yaml and the profile: change those.\n[Service]\n"
_HERE = {"127.0.0.1", "localhost", "::1"}
_SERVICES = ("orchestrator", "retriever", "llm_bridge", "ingest", "metrics")
_TALKERS = {"llm_bridge", "metrics"}
"""Their units allow this box's own addresses from the start."""

Settings = dict[str, str]


def limits(config: Config, profile: Mapping[str, Any]) -> dict[str, Settings]:
    """Return the settings of each unit, by its name without `.service`.

    Args:
        config: the box's configuration.
        profile: what the profile says of the box itself; may be empty.
    """
    llama = profile.get("llama", {})
    megabytes = {unit_of(name): getattr(config, name).budget_mb for name in _SERVICES}
    megabytes["andon-ingest"] += _ZYGOTE_MB + config.ingest.reader_memory_mb
    megabytes["andon-broker"] = profile.get("broker", {}).get("memory_mb") or _BROKER_MB
    megabytes["andon-llama"] = llama.get("memory_mb", 0)
    settings = {unit: _memory(most) for unit, most in megabytes.items()}
    for name in _SERVICES:
        unit = settings[unit_of(name)]
        unit["TimeoutStopSec"] = f"{config.stop_within_s + _STOP_MORE_S:g}"
        unit["WatchdogSec"] = f"{config.watchdog_s:g}"
        unit |= _network(name, config)
    given = {"THREADS": llama.get("threads"), "BATCH": llama.get("batch")}
    if words := " ".join(f"LLAMA_ARG_{name}={value}" for name, value in given.items() if value):
        settings["andon-llama"]["Environment"] = words
    return settings


def unit_of(service: str) -> str:
    """Return the unit of a service, without `.service`."""
    return f"andon-{service.replace('_', '-')}"


def write(folder: Path, config: Config, profile: Mapping[str, Any]) -> list[Path]:
    """Write the drop-ins; return those that changed.

    Raises:
        Fatal: one cannot be written.
    """
    changed = []
    for unit, settings in limits(config, profile).items():
        path = folder / f"{unit}.service.d" / NAME
        text = _HEAD + "".join(f"{key}={value}\n" for key, value in settings.items())
        try:
            if path.exists() and path.read_text(encoding="utf-8") == text:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Fatal("write limits", f"{path}: {error.strerror}", "call it as root") from error
        changed.append(path)
    return changed


def profile_of(path: Path) -> dict[str, Any]:
    """Return what a profile says of the box itself, nothing where there is none.

    Raises:
        Fatal: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return dict((yaml.safe_load(text) or {}).get("box") or {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise Fatal("read profile", f"{path}: {error}", "install.sh writes it anew") from error


def _memory(most_mb: int) -> Settings:
    if not most_mb:  # as much as can be without taking the box down
        return {"MemoryHigh": "70%", "MemoryMax": "80%"}
    return {"MemoryHigh": f"{most_mb * 7 // 8}M", "MemoryMax": f"{most_mb}M"}


def _network(name: str, config: Config) -> Settings:
    """Return what a service needs of the network beyond what its unit allows."""
    hosts = set(_hosts(name, config))
    if not hosts or (name in _TALKERS and hosts <= _HERE):
        return {}
    allowed = "any" if hosts - _HERE else "localhost"
    return {
        "PrivateNetwork": "no",
        "RestrictAddressFamilies": "AF_INET AF_INET6",
        "IPAddressAllow": allowed,
    }


def _hosts(name: str, config: Config) -> Iterator[str]:
    """Yield the hosts that the configuration has a service speak to."""
    urls = [config.broker.url]
    if name == "metrics":
        yield config.metrics.address
    if name == "llm_bridge":
        urls.append(config.llm_bridge.url)
    if name == "retriever":
        urls += [config.retriever.rerank_url, config.retriever.embedding.url]
    for url in urls:
        if host := urlsplit(url).hostname:
            yield host
