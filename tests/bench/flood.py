"""Floods of faults: how fast they are accepted, what becomes of a critical one, how we recover."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from services.runtime.metrics import memory_mb
from tests.support import processes
from tests.support.andon import Andon
from tests.support.sample import sample_manual

_IN_FLIGHT = 1000
_WITHIN_S = 300.0
_SAMPLE_S = 0.2
_CODES = tuple(f"E{number:03}" for number in range(1, 21))
_CONFIG = "log: warning\nstatus_every_s: 1\n"


class Publisher:
    """A client that publishes as fast as the broker confirms."""

    def __init__(self, port: int) -> None:
        self.confirmed = 0
        self._client = client = paho.Client(paho.CallbackAPIVersion.VERSION2, "bench-flood")
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.max_queued_messages_set(0)
        client.on_publish = self._published
        client.connect("127.0.0.1", port)
        client.loop_start()

    def _published(self, *_: object) -> None:
        self.confirmed += 1

    def send(self, number: int, assets: int) -> None:
        """Publish fault `number`, one of `assets` machines'."""
        code = _CODES[number // assets % len(_CODES)]
        self.publish(f"plant/a{number % assets}/fault", {"code": code, "text": f"no. {number}"})

    def publish(self, topic: str, payload: dict[str, str]) -> None:
        """Publish with QoS 1."""
        self._client.publish(topic, json.dumps(payload), qos=1)

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_publish = None


class Answers:
    """When answers came, live ones only."""

    def __init__(self, port: int) -> None:
        self.first: dict[str, float] = {}
        """By topic, when its first came; monotonic seconds."""
        self.latest: list[float] = []
        """When each came."""
        self._client = client = paho.Client(paho.CallbackAPIVersion.VERSION2, "bench-answers")
        client.on_connect = lambda c, *_: c.subscribe("andon/answer/#", 0)
        client.on_message = self._message
        client.connect("127.0.0.1", port)
        client.loop_start()

    def _message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        if message.payload and not message.retain:
            self.latest.append(at := time.monotonic())
            self.first.setdefault(message.topic, at)

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_message = None


def _wait(true: Any, what: str) -> float:
    deadline = time.monotonic() + _WITHIN_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)
    return time.monotonic()


@contextmanager
def _andon() -> Iterator[tuple[Andon, sqlite3.Connection]]:
    """A running Andon that knows the sample manual, and a look into its ledger."""
    with tempfile.TemporaryDirectory(prefix="andon-flood-") as name:
        folder = Path(name)
        with Andon(folder, _CONFIG) as andon:
            added = andon.cli("add", str(sample_manual(folder, "pdf")))
            if added.returncode:
                raise RuntimeError(added.stderr)
            ledger = andon.data / "ledger.db"
            with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30)) as db:
                yield andon, db


def _events(db: sqlite3.Connection) -> int:
    [n] = db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
    return int(n)


def accepted(n: int, held: Path) -> dict[str, Any]:
    """Faults a second from publishing the first to all in the ledger, against bare SQLite.

    Args:
        n: how many.
        held: an empty folder on the same disk.
    """
    with _andon() as (andon, db):
        publisher = Publisher(andon.port)
        begun = time.monotonic()
        for number in range(n):
            publisher.send(number, 500)
        confirmed = _wait(lambda: publisher.confirmed >= n, "the broker confirms")
        stored = _wait(lambda: _events(db) >= n, "the ledger has them")
        publisher.close()
        # What was received together was committed together.
        grouped = "SELECT count(*) FROM event GROUP BY received ORDER BY min(id)"
        sizes = [size for (size,) in db.execute(grouped)]
        with closing(sqlite3.connect(held / "source.db")) as kept:
            db.backup(kept)
    # Now that nothing else runs.
    bare_s = _bare(held / "source.db", held / "copy.db", sizes)
    rate, bare = n / (stored - begun), n / bare_s
    return {
        "faults": n,
        "confirmed_per_s": round(n / (confirmed - begun)),
        "accepted_per_s": round(rate),
        "behind_the_last_puback_s": round(stored - confirmed, 3),
        "batch": {"median": statistics.median(sizes), "max": max(sizes), "commits": len(sizes)},
        "bare_sqlite_per_s": round(bare),
        "share_of_bare": round(rate / bare, 2),
    }


def _bare(source: Path, copy: Path, sizes: list[int]) -> float:
    """Commit the same rows in batches of the same sizes; return the seconds it took."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(copy)) as new:
        new.isolation_level = None
        new.execute("PRAGMA journal_mode = WAL")
        new.execute("PRAGMA synchronous = FULL")
        schema = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        for (statement,) in old.execute(schema):
            new.execute(statement)
        events = old.execute("SELECT * FROM event ORDER BY id").fetchall()
        ids = [i for (i,) in old.execute("SELECT id FROM event ORDER BY id")]
        columns = [c for _, c, *_ in old.execute("PRAGMA table_info(job)")]
        jobs: dict[int, list[tuple[Any, ...]]] = {}
        for row in old.execute("SELECT * FROM job"):
            jobs.setdefault(row[columns.index("id")], []).append(row)
        alarm = old.execute("SELECT body FROM alarm LIMIT 1").fetchone()[0]
        into_event = f"INSERT INTO event VALUES ({','.join('?' * len(events[0]))})"  # noqa: S608
        into_job = f"INSERT INTO job VALUES ({','.join('?' * len(columns))})"  # noqa: S608
        into_outbox = (
            "INSERT INTO outbox (topic, payload, retain, content_type, trace)"
            " VALUES ('andon/alarm/plant/a1', ?, 1, 'application/json', '')"
        )
        begun, at = time.perf_counter(), 0
        for size in sizes:
            new.execute("BEGIN IMMEDIATE")
            new.executemany(into_event, events[at : at + size])
            mine = [job for i in ids[at : at + size] for job in jobs.get(i, [])]
            new.executemany(into_job, mine)
            new.executemany(into_outbox, [(alarm,)] * size)
            new.execute("COMMIT")
            at += size
        return time.perf_counter() - begun


def flood(n: int, within_s: float) -> dict[str, Any]:
    """A flood with a critical fault in its midst, and a kill -9 while its work is not done."""
    with _andon() as (andon, db):
        publisher, answers = Publisher(andon.port), Answers(andon.port)
        pid = processes.wait_for(andon.up_pid, "orchestrator")
        over, sizes = threading.Event(), [memory_mb(pid)]

        def sample() -> None:
            while not over.wait(_SAMPLE_S):
                sizes.append(memory_mb(pid))

        sampler = threading.Thread(target=sample)
        sampler.start()
        begun, asked = time.monotonic(), 0.0
        for number in range(n):
            if number == n // 2:
                asked = time.monotonic()
                publisher.publish("plant/critical/fault", {"code": "E005", "severity": "critical"})
            publisher.send(number, 500)
            time.sleep(max(0.0, begun + within_s * number / n - time.monotonic()))
        sent = time.monotonic()
        topic = "andon/answer/plant/critical"
        _wait(lambda: topic in answers.first, "the critical fault is answered")
        stored = _wait(lambda: _events(db) > n, "the ledger has them")
        [left] = db.execute("SELECT count(*) FROM job WHERE state <> 'done'").fetchone()
        over.set()
        sampler.join()
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        publisher.publish("plant/afterwards/fault", {"code": "E005", "severity": "critical"})
        # What came sooner than that was on its way when it died.
        resumed = processes.wait_for(andon.up_pid, "orchestrator", but=pid)
        back = time.monotonic()
        _wait(lambda: any(at > back for at in answers.latest), "an answer after the restart")
        first = min(at for at in answers.latest if at > back)
        memory_after = memory_mb(resumed)
        publisher.close()
        answers.close()
        return {
            "faults": n + 1,
            "sent_within_s": round(sent - begun, 1),
            "critical_to_answer_ms": round((answers.first[topic] - asked) * 1000),
            "all_in_ledger_s_after_the_last": round(stored - sent, 2),
            "orchestrator_pss_peak_mb": max(sizes),
            "jobs_open_at_kill": left,
            "kill_to_first_answer_s": round(first - killed, 2),
            "orchestrator_pss_after_restart_mb": memory_after,
        }


def measure(n: int = 10_000) -> dict[str, Any]:
    """Return every figure of faults in great numbers."""
    with tempfile.TemporaryDirectory(prefix="andon-bare-") as held:
        return {"accepted": accepted(n, Path(held)), "flood": flood(n, n / 1000)}
