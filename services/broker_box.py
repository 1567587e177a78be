"""The broker of a box, as systemd starts it: `andon broker prepare` and `andon broker care`.

Both run as the broker's own user; `andon-broker.service` and `andon-broker-care.service` call them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services import access_list, broker_conf, broker_file, plugin
from services.mosquitto import plugin_file, program
from services.rights import OWN
from services.runtime.config import Config
from services.runtime.errors import Fatal
from services.signals import signalled

CONF = "mosquitto.conf"
SOCKET = "broker.sock"
_PID = "broker.pid"
_PLUGIN_FILE = "dynamic-security.json"
_STARTING = "broker.starting"
"""There from `prepare` until the broker is ready: still there, the last start failed."""
_TRIED_S = 20.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie on a box."""

    etc: Path = Path("/etc/andon")
    """What was configured; written by root alone."""
    state: Path = Path("/var/lib/andon/broker")
    """What the broker keeps."""
    run: Path = Path("/run/andon")
    """Its socket, and its configuration while it runs."""
    connected: Path = Path("/run/andon-orchestrator/connected")
    """What the orchestrator writes whenever it has connected."""


def prepare(places: Places, config: Config) -> list[str]:
    """Before each start: make its configuration and its list of users, and mend its file.

    Returns:
        What a person should be told.

    Raises:
        Fatal: Mosquitto's plugin is not installed, or a file is missing or cannot be written.
    """
    access = access_list.load(places.etc)
    if missing := [name for name in OWN if name not in access.own]:
        reason = f"no password was made for {', '.join(missing)}"
        raise Fatal("start broker", reason, "`andon access init` makes what is missing")
    starting = places.run / _STARTING
    told = _mend(places.state / "mosquitto.db", doubtful=starting.exists())
    for client in access.clients:
        # What a changed configuration has no room for must not keep the broker from starting.
        for role in plugin.idle(client, config):
            told.append(f"{client.name} can do nothing as {role}: {plugin.NO_TOPIC}")
    document = msgspec.json.encode(plugin.document(access, config))
    access_list.write_whole(places.state / _PLUGIN_FILE, document, mode=0o600)
    conf = broker_conf.rendered(
        broker_conf.TEMPLATE.read_text(encoding="utf-8"),
        access.plant,
        etc=places.etc,
        state=places.state,
        run=places.run,
        plugin=plugin_file(),
    )
    (places.run / _PID).unlink(missing_ok=True)
    access_list.write_whole(places.run / CONF, conf.encode(), mode=0o600)
    starting.touch()
    return told


def care(places: Places) -> str:
    """Have the running broker be careful while the orchestrator is away, and at ease while not.

    Mosquitto reads that anew on SIGHUP, and then ends every session that it knows from its file
    alone. So one that was started or is careful already is left alone until the orchestrator has
    connected to it: then its session is no longer one of those, also when it goes again.

    Returns:
        How the broker is from now on; empty where nothing changed.
    """
    path = places.run / CONF
    before = path.read_text(encoding="utf-8")
    after = broker_conf.careful(before)
    if _connected(places.connected, path):
        after = broker_conf.at_ease(before)
    if after == before:
        return ""
    written = path.stat().st_mtime_ns
    access_list.write_whole(path, after.encode(), mode=0o600)
    os.utime(path, ns=(written, written))  # still tells when the broker was started
    pid = places.run / _PID
    if not pid.exists() or not signalled(int(pid.read_text(encoding="ascii")), signal.SIGHUP):
        # It has not begun, or has ended: the next one begins with what is written.
        return ""
    return "careful" if after == broker_conf.careful(after) else "at ease"


def _connected(path: Path, conf: Path) -> bool:
    """Return whether the orchestrator has connected to the broker that runs now.

    The configuration was written before that was started, so what is older tells of another.
    """
    try:
        return path.stat().st_mtime_ns > conf.stat().st_mtime_ns
    except FileNotFoundError:
        return False


def _mend(path: Path, *, doubtful: bool) -> list[str]:
    """Set a damaged file aside, since Mosquitto would not start with it.

    Some damage only Mosquitto itself sees, or dies of; so where the last start failed it is tried.
    """
    if not (reason := broker_file.damage(path)) and doubtful and path.exists():
        reason = _died_of(path)
    return [broker_file.put_aside(path, reason)] if reason else []


def _died_of(path: Path) -> str:
    """Return how a Mosquitto ends that has nothing but a copy of the file; empty if it does not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(path, folder / path.name)
        conf, sock = folder / CONF, folder / SOCKET
        user = f"user {pwd.getpwuid(os.geteuid()).pw_name}"
        lines = f"persistence true\npersistence_location {folder}/\nlistener 0 {sock}\n{user}\n"
        conf.write_text(lines, encoding="utf-8")
        command = [program("mosquitto"), "-c", str(conf)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            begun = time.monotonic()
            while one.poll() is None and not sock.exists():
                if time.monotonic() - begun > _TRIED_S:
                    break
                time.sleep(0.02)
            ended = one.poll()
            one.kill()
    return "" if ended is None else f"Mosquitto ends with it, code {ended}"
