"""`andon doctor`: looks at everything an Andon needs, and says what to do."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

from schemas.health import ServiceStatus
from services import access_list, backups, certificates, findings
from services.access_list import Access
from services.broker_box import Places
from services.client import Client, connected
from services.commands import FAILED, OK, installed
from services.findings import Finding
from services.running import settings
from services.runtime import config as configuration
from services.runtime import log as logs
from services.runtime.config import Config
from services.runtime.errors import AndonError
from services.runtime.process import version_of_andon
from services.terminal import print_json, tell

_DATABASES = ("ledger.db", "library.db", "corpus.db")
UPGRADE = Path("/opt/andon/.upgrade")
"""There as long as install.sh is at an upgrade."""
_SYSTEMD = Path("/run/systemd/system")
_MARKS = {"ok": "ok      ", "note": "note    ", "problem": "PROBLEM "}
_HTTP_S = 3.0


def run(options: argparse.Namespace) -> int:
    """Look, and print what was found."""
    named = configuration.find(options.config)
    config = settings(options.config)
    logs.setup("critical")

    async def look() -> list[Finding]:
        found = [*_local(config, named), *await asyncio.to_thread(_databases, config, options.deep)]
        return found + [one async for one in _at_the_broker(config)]

    found = asyncio.run(look())
    if options.json:
        print_json(found)
    else:
        wide = max(len(one.about) for one in found)
        for one in found:
            tell(f"{_MARKS[one.level]}{one.about:<{wide}} {one.said}")
            if one.hint:
                tell(f"{'':<{wide + 9}}→ {one.hint}")
        count = sum(one.level == "problem" for one in found)
        tell(f"\n{count} problem{'s' * (count != 1)}." if count else "\nNo problem was found.")
    return FAILED if any(one.level == "problem" for one in found) else OK


def _local(config: Config, named: Path | None) -> Iterator[Finding]:
    """What this box alone tells."""
    yield findings.ok("configuration", f"{named} is in order" if named else "all by default")
    secret = bool(config.broker.password or config.llm_bridge.api_key)
    for path, is_secret in ((named, secret), (config.data_dir, True)):
        if path is not None and path.exists():
            mode = stat.S_IMODE(path.stat().st_mode)
            if bad := findings.private(str(path), mode, secret=is_secret):
                yield bad
    data = config.data_dir
    if not data.is_dir():
        hint = "start Andon once, or set `data` to the folder that has the manuals"
        yield findings.problem("data", f"there is no folder {data}", hint)
        return
    yield from _disk(data)
    newest = max((path.stat().st_mtime for path in data.glob("*.db*")), default=0.0)
    yield from findings.clock(time.time(), newest, synchronised=_synchronised())
    info = _meminfo()
    budgets = sum(
        getattr(config, name).budget_mb
        for name in ("orchestrator", "retriever", "llm_bridge", "ingest")
    )
    yield findings.memory(info["MemAvailable"], info["MemTotal"], budgets)
    yield from _units()
    if UPGRADE.exists():
        hint = "if no install.sh is at work, /opt/andon/current/install.sh --settle ends it"
        yield findings.problem("upgrade", "one is at work, or was cut off", hint)
    yield from _ports()
    if config.backup.folder:
        last = backups.last_of(config)
        made = datetime.fromisoformat(last.made).timestamp() if last.made else 0.0
        yield findings.backup(made, last.failed, last.reason, now=time.time())
    if config.metrics.port:
        yield _metrics(config)


def _disk(data: Path) -> Iterator[Finding]:
    usage, files = shutil.disk_usage(data), os.statvfs(data)
    yield from findings.disk(
        str(data),
        free=usage.free,
        total=usage.total,
        inodes=files.f_favail if files.f_files else -1,
        kind=_file_system(data),
    )


def _file_system(path: Path) -> str:
    """Return the kind of file system a path is on, by the longest mount point over it."""
    real = path.resolve()
    best, kind = "", ""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, point, named, *_ = line.split()
        point = point.encode().decode("unicode_escape")  # a blank is \040 there
        if len(point) >= len(best) and real.is_relative_to(point):
            best, kind = point, named
    return kind


def _synchronised() -> bool | None:
    """Return whether the clock follows a time server; None where nobody knows."""
    said = _said("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return {"yes": True, "no": False}.get(said.strip())


def _meminfo() -> dict[str, int]:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return {
        name: int(rest.split()[0]) * 1024 for name, _, rest in (li.partition(":") for li in lines)
    }


def _units() -> Iterator[Finding]:
    """What systemd says of our units; nothing where it does not run them."""
    properties = "--property=Id,ActiveState,Result,NRestarts"
    for block in _said("systemctl", "show", "andon-*.service", properties).split("\n\n"):
        shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in shown:
            one = findings.unit(
                shown["Id"],
                state=shown.get("ActiveState", ""),
                result=shown.get("Result", ""),
                restarts=int(shown.get("NRestarts") or 0),
            )
            if one is not None:
                yield one


def _ports() -> Iterator[Finding]:
    """Whether the plant can reach the broker of a box; nothing where this is none."""
    etc = Places().etc
    if not os.access(etc / access_list.FILE, os.R_OK):
        return
    access = access_list.load(etc)
    plant = access.plant
    if plant.tls_port:
        yield from _certificates(etc / "broker" / "tls", access)
    for number, tls in ((plant.tls_port, True), (plant.plain_port, False)):
        if number:
            with socket.socket() as probe:
                probe.settimeout(_HTTP_S)
                open_ = probe.connect_ex(("127.0.0.1", number)) == 0
            yield findings.port(number, tls=tls, open_=open_)


def _certificates(folder: Path, access: Access) -> Iterator[Finding]:
    """How long the certificates of the broker, and of those of its clients there are, are good."""
    renewed = "and `systemctl restart andon-broker`"
    hints = {
        folder / "ca.crt": f"`andon access renew --authority` {renewed}; every client then needs"
        " the new ca.crt, and those with a certificate a new one",
        folder / "server.crt": f"`andon access renew` {renewed}",
    }
    for client in access.clients:
        path = folder / "clients" / f"{client.name}.crt"
        if client.certificate and os.access(path, os.R_OK):
            hints[path] = f"`andon access renew --client {client.name}`, and take it to the client"
    for path, hint in hints.items():
        name = str(path.relative_to(folder))
        try:
            yield findings.certificate(name, certificates.ends(path), hint, now=time.time())
        except AndonError as error:
            yield findings.problem("certificate", f"{name}: {error.reason}", hint)


def _said(*command: str) -> str:
    """Return what a program of systemd's printed; nothing where it cannot run."""
    if not _SYSTEMD.is_dir() or shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout


def _metrics(config: Config) -> Finding:
    where = f"http://{config.metrics.address}:{config.metrics.port}/metrics"
    try:
        with urllib.request.urlopen(where, timeout=_HTTP_S) as reply:
            reply.read()
    except (OSError, urllib.error.URLError) as error:
        return findings.problem(
            "metrics", f"{where}: {error}", "is the unit andon-metrics running?"
        )
    return findings.ok("metrics", where)


def _databases(config: Config, deep: bool) -> list[Finding]:
    """Whether the databases can be read, and what SQLite finds wrong with them."""
    found = []
    for name in _DATABASES:
        path = config.data_dir / name
        if not path.is_file():
            continue
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
                query = "PRAGMA quick_check(1)" if deep else "PRAGMA schema_version"
                (said,) = db.execute(query).fetchone()
        except sqlite3.Error as error:
            said = str(error)
        if (deep and said != "ok") or (isinstance(said, str) and said != "ok"):
            hint = "its service mends it at its next start, and keeps the damaged one beside it"
            found.append(findings.problem(name, str(said), hint))
        else:
            found.append(findings.ok(name, "read from end to end" if deep else "can be read"))
    return found


async def _at_the_broker(config: Config) -> AsyncIterator[Finding]:
    """What can be seen over the bus."""
    begun = time.perf_counter()
    try:
        async with connected(config) as bus:
            took = (time.perf_counter() - begun) * 1000
            yield findings.ok("broker", f"{config.broker.url} answers in {took:.0f} ms")
            client = Client(bus, config)
            known = await client.status()
            for one in _services(config, known):
                yield one
            ingest = known.get("ingest")
            reads = ingest is not None and ingest.state in {"ready", "degraded"}
            states = [one.state async for one in client.documents()] if reads else []
    except AndonError as error:
        hint = error.hint or "`journalctl -u andon-broker` says why it does not run"
        yield findings.problem("broker", f"{error.operation}: {error.reason}", hint)
        return
    if failed := states.count("failed"):
        hint = "`andon documents --state failed` names them, each with its reason"
        yield findings.note("documents", f"{failed} could not be read", hint)


def _services(config: Config, known: Mapping[str, ServiceStatus | None]) -> Iterator[Finding]:
    version, systemd = version_of_andon(), bool(_said("systemctl", "cat", "andon.target"))
    for name, status in known.items():
        if status is None and not installed(name):
            continue  # a node that answers only
        yield from findings.service(name, status, version=version, systemd=systemd)
    bridge = known.get("llm_bridge")
    if bridge is not None:
        yield findings.model(bridge.facts, url=config.llm_bridge.url)
