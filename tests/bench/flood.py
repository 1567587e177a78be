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
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from services.runtime.metrics import memory_mb
from services.runtime.sqlite import SPARING
from tests.bench.publisher import Publisher
from tests.support import processes
from tests.support.andon import Andon
from tests.support.llama_stand_in import stand_in
from tests.support.sample import sample_manual

_WITHIN_S = 300.0
_SAMPLE_S = 0.2
_CODES = tuple(f"E{number:03}" for number in range(1, 21))
_CRITICAL = {"code": "E005", "severity": "critical"}
_JOB = "answer_id, place, question, body, priority, front, received_at, deadline_at"
_MODEL_S = 0.2
_CONFIG = "log: warning\nstatus_every_s: 1\n"


def _fault(publisher: Publisher, number: int, assets: int) -> bytes:
    """Return fault `number`, one of `assets` machines', ready to be sent."""
    code = _CODES[number // assets % len(_CODES)]
    payload = {"code": code, "text": f"no. {number}"}
    return publisher.packet(f"plant/a{number % assets}/fault", payload)


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
def _andon(config: str = "") -> Iterator[tuple[Andon, sqlite3.Connection]]:
    """A running Andon that knows the sample manual, and a look into its ledger."""
    with tempfile.TemporaryDirectory(prefix="andon-flood-") as name:
        folder = Path(name)
        with Andon(folder, _CONFIG + config) as andon:
            added = andon.cli("add", str(sample_manual(folder, "pdf")))
            if added.returncode:
                raise RuntimeError(added.stderr)
            ledger = andon.data / "ledger.db"
            with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30)) as db:
                yield andon, db


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used, s."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
        pid, publisher = processes.wait_for(andon.up_pid, "orchestrator"), Publisher(andon.port)
        packets = b"".join(_fault(publisher, number, 500) for number in range(n))
        before, begun = cpu_s(pid), time.monotonic()
        publisher.send(packets)
        confirmed = _wait(lambda: publisher.confirmed >= n, "the broker confirms")
        stored = _wait(lambda: _events(db) >= n, "the ledger has them")
        spent = cpu_s(pid) - before
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
        "orchestrator_cpu_us_a_fault": round(spent / n * 1e6),
        "behind_the_last_puback_s": round(stored - confirmed, 3),
        "batch": {"median": statistics.median(sizes), "max": max(sizes), "commits": len(sizes)},
        "bare_sqlite_per_s": round(bare),
        "share_of_bare": round(rate / bare, 2),
    }


def _bare(source: Path, copy: Path, sizes: list[int]) -> float:
    """Commit the same rows in batches of the same sizes; return the seconds it took.

    The same rows: what a fault adds before its ack, that is event, job that is due, alarm, its
    message in the outbox, and the area of each batch; with all indices and triggers of the real
    file, its pragmas and pages. What the ledger does besides in that time is left out: reading
    and answering the first jobs, publishing alarms and deleting their messages.
    """
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(copy)) as new:
        new.isolation_level = None
        for pragma in (*SPARING, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            new.execute(f"PRAGMA {pragma}")
        (page,) = new.execute("PRAGMA page_size").fetchone()
        new.execute(f"PRAGMA wal_autocheckpoint={4 * 1024 * 1024 // page}")
        schema = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        for (statement,) in old.execute(schema):
            new.execute(statement)
        events = old.execute("SELECT * FROM event ORDER BY id").fetchall()
        jobs = _by_event(old, f"SELECT id, {_JOB} FROM job")  # noqa: S608
        alarms = _by_event(
            old,
            "SELECT job.id, asset, code, alarm.body FROM job JOIN alarm ON alarm.asset = job.place"
            " AND alarm.code = json_extract(CAST(job.body AS TEXT), '$.code')",
        )
        outbox = _by_event(
            old,
            "SELECT job.id, 'andon/alarm/' || asset, CAST(json_extract(CAST(alarm.body AS TEXT),"
            " '$.alarm') AS BLOB), json_extract(CAST(job.body AS TEXT), '$.trace')"
            " FROM job JOIN alarm ON alarm.asset = job.place"
            " AND alarm.code = json_extract(CAST(job.body AS TEXT), '$.code')",
        )
        area = old.execute("SELECT * FROM area").fetchone()
        begun, at = time.perf_counter(), 0
        for size in sizes:
            batch = events[at : at + size]
            at += size
            new.execute("BEGIN IMMEDIATE")
            new.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch)
            new.executemany(
                f"INSERT INTO job (id, {_JOB}, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'due')",  # noqa: S608
                [row for event in batch for row in jobs[event[0]]],
            )
            new.executemany(
                "INSERT INTO alarm VALUES (?, ?, ?)",
                [row[1:] for event in batch for row in alarms[event[0]]],
            )
            new.execute("INSERT OR REPLACE INTO area VALUES (?, ?)", area)
            new.executemany(
                "INSERT INTO outbox (topic, payload, trace, retain, content_type)"
                " VALUES (?, ?, ?, 1, 'application/json')",
                [row[1:] for event in batch for row in outbox[event[0]]],
            )
            new.execute("COMMIT")
        return time.perf_counter() - begun


def _by_event(old: sqlite3.Connection, sql: str) -> dict[int, list[tuple[Any, ...]]]:
    """Return rows by the number of their event, which comes first."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in old.execute(sql):
        found[row[0]].append(row)
    return found


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
                publisher.send(publisher.packet("plant/critical/fault", _CRITICAL))
            publisher.send(_fault(publisher, number, 500))
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
        publisher.send(publisher.packet("plant/afterwards/fault", _CRITICAL))
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


def with_model(n: int, within_s: float) -> dict[str, Any]:
    """A flood with a model that takes its time: how often it is asked, and who waits for it."""
    with (
        stand_in(takes_s=_MODEL_S) as llama,
        _andon(f"llm_bridge: {{url: '{llama.url}'}}\n") as (andon, db),
    ):
        publisher, answers = Publisher(andon.port), Answers(andon.port)
        pid = processes.wait_for(andon.up_pid, "orchestrator")
        sizes, begun, asked = [memory_mb(pid)], time.monotonic(), 0.0
        for number in range(n):
            if number == n // 2:
                critical = {"code": "E005", "severity": "critical"}
                asked = time.monotonic()
                publisher.send(publisher.packet("plant/critical/fault", critical))
            publisher.send(_fault(publisher, number, 500))
            if number % 100 == 0:
                sizes.append(memory_mb(pid))
            time.sleep(max(0.0, begun + within_s * number / n - time.monotonic()))
        sent, topic = time.monotonic(), "andon/answer/plant/critical"
        _wait(lambda: _events(db) > n, "the ledger has them")
        done = _wait(lambda: not _open(db), "all are answered")
        sizes.append(memory_mb(pid))
        publisher.close()
        answers.close()
        finals = [json.loads(body) for (body,) in db.execute("SELECT body FROM answer")]
        cited = [one for one in finals if one["citations"]]
        return {
            "faults": n + 1,
            "model_s": _MODEL_S,
            "critical_to_passages_ms": round((answers.first[topic] - asked) * 1000),
            "all_answered_s_after_the_last": round(done - sent, 1),
            "model_requests": len(llama.prompts),
            "distinct_code_and_scope": len({(one["code"], one["scope"]) for one in cited}),
            "answers": len(finals),
            "by_model": sum(one["answered_by"] == "model" for one in cited),
            "too_many_waited": sum("too many others" in one["note"] for one in cited),
            "orchestrator_pss_peak_mb": max(sizes),
        }


def _open(db: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM job WHERE state NOT IN ('done', 'failed')"
    [n] = db.execute(query).fetchone()
    return int(n)


def measure(n: int = 10_000) -> dict[str, Any]:
    """Return every figure of faults in great numbers."""
    with tempfile.TemporaryDirectory(prefix="andon-bare-") as held:
        return {
            "accepted": accepted(n, Path(held)),
            "flood": flood(n, n / 1000),
            "with_model": with_model(n, n / 1000),
        }
