"""Faults pour in while processes are killed; then the books are looked at.

`python -m tests.faults.soak --minutes 60` goes on for as long as told, one line a seed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from tests.support.andon import Andon
from tests.support.havoc import Blow, Havoc
from tests.support.plc import Plc
from tests.support.recorder import Heard, Recorder
from tests.support.sample import sample_manual

CONFIG = "orchestrator: {deadline_s: 15, lease_s: 5}\nstatus_every_s: 1\n"
CODES = tuple(f"E{number:03}" for number in range(1, 21))
ASSETS = 40
_SETTLE_S = 90.0
_RESTART_S = 0.9
"""`andon up` waits longer than this before it starts a process again."""
_ON_THE_WAY_S = 0.1
WINDOW_S = 0.3
"""Longer than this nothing a broker confirmed may wait to be in its file while the orchestrator is
away: it writes after each turn of its loop, and what came since is all that a kill may take along.
"""
COMING_AND_GOING = ("C001", "C002")
"""Codes of alarms that are cleared now and then; all others stand."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it."""

    faults: int
    kills: int


FULL = Size(2000, 30)


@dataclass(slots=True)
class Books:
    """What the ledger says, read when all has come to rest."""

    faults: dict[str, tuple[str, str]]
    """Asset and code by mark, of all events that are faults."""
    answers: dict[str, dict[str, Any]]
    """By id."""
    open_jobs: int
    failed: list[str]
    """Reasons of jobs that were given up."""
    outbox: int
    asked: set[str] = field(default_factory=set)
    """Marks of the questions."""
    unanswered_asks: int = 0
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    """What the newest event of asset and code said: active or cleared."""
    alarms: dict[tuple[str, str], str] = field(default_factory=dict)
    """What the board of alarms says."""


@dataclass(slots=True)
class Outcome:
    """A round, and what is wrong with it."""

    seed: int
    blows: list[Blow]
    sent: int
    confirmed: int
    in_ledger: int
    messages: int
    """Answers on the wire, repeats included."""
    at_risk: int
    """Confirmed, but still in the memory of a broker that was then killed."""
    lost: list[str] = field(default_factory=list)
    """Those of them that are not in the ledger: the broker took them along."""
    windows: list[float] = field(default_factory=list)
    """Of brokers killed while the orchestrator was away: s since the first PUBACK of what was not
    in the file yet."""
    wrong: list[str] = field(default_factory=list)
    """What must not be; empty."""

    def __str__(self) -> str:
        brokers = sum(blow.name == "mosquitto" for blow in self.blows)
        return (
            f"seed {self.seed}: {len(self.blows)} kills ({brokers} of the broker),"
            f" {self.sent} faults, {self.confirmed} confirmed, {self.in_ledger} in the ledger,"
            f" {self.messages} answers on the wire, {self.at_risk} were in a killed broker's"
            f" memory alone for at most {max(self.windows, default=0.0):.3f} s,"
            f" {len(self.lost)} of them went with it; " + ("; ".join(self.wrong[:5]) or "ok")
        )

    def story(self) -> str:
        """The blows one by one, seconds since the first."""
        begun = self.blows[0].at if self.blows else 0.0
        return "\n".join(
            f"  {b.at - begun:7.3f} to {b.over - begun:7.3f} {b.way} {b.name}"
            + (f", saved {b.saved - begun:7.3f}" if b.saved else "")
            for b in self.blows
        )


def template(folder: Path) -> Path:
    """Make the data folder a round begins with: one manual is known."""
    with Andon(folder, CONFIG) as andon:
        added = andon.cli("add", str(sample_manual(folder, "pdf")))
        assert added.returncode == 0, added.stderr + andon.said()
    return andon.data


def play(seed: int, size: Size, begin: Path, folder: Path) -> Outcome:
    """One round, in an empty folder."""
    chance = random.Random(seed)
    shutil.copytree(begin, folder / "data")
    with Andon(folder, CONFIG) as andon:
        port = andon.port
        recorder = Recorder(port, "recorder", "andon/answer/#", "andon/status/orchestrator")
        plcs = [Plc(port, "plc-3", paho.MQTTv311), Plc(port, "plc-5", paho.MQTTv5)]
        havoc = Havoc(andon.up_pid, seed, size.kills, andon.data / "broker" / "mosquitto.db")
        try:
            havoc.start()
            number = 0
            while number < size.faults or havoc.is_alive():
                if number < size.faults:
                    mark = f"mark-{seed}-{number}"
                    _say(plcs[number % 2], mark, chance)
                    number += 1
                # Spread over the kills, in bursts now and then.
                done = len(havoc.blows) / size.kills
                if number / size.faults > done + 0.1 or chance.random() < 0.2:
                    time.sleep(0.02)
            blows = havoc.finish()
            heard = [plc.all_confirmed(_SETTLE_S) for plc in plcs]
            books = _settled(andon)
            time.sleep(1.0)  # what has just left the outbox arrives
        finally:
            havoc.enough.set()
            havoc.join()
            for plc in plcs:
                plc.close()
            recorder.close()
        said = andon.said()
    confirmed = {mark: at for plc in plcs for mark, at in plc.confirmed.items()}
    answers = [one for one in recorder.heard if one.topic.startswith("andon/answer/")]
    ready = attached(recorder.heard)
    risky = at_risk(confirmed, blows, ready)
    known = books.faults.keys() | books.asked
    missing = sorted(confirmed.keys() - known)
    outcome = Outcome(
        seed=seed,
        blows=blows,
        sent=number,
        confirmed=len(confirmed),
        in_ledger=len(known),
        messages=len(answers),
        at_risk=len(risky),
        lost=[mark for mark in missing if mark in risky],
        windows=windows(confirmed, blows, ready),
    )
    begun = blows[0].at if blows else 0.0
    outcome.wrong += [f"{mark} lost, confirmed at {confirmed[mark] - begun:.3f}" for mark in missing
                      if mark not in risky]  # fmt: skip
    outcome.wrong += [f"a killed broker had not written what it confirmed {one:.3f} s before"
                      for one in outcome.windows if one > WINDOW_S]  # fmt: skip
    if unheard := [mark for plc in plcs for mark in plc.unheard]:
        outcome.wrong.append(f"{len(unheard)} faults found no subscriber, {unheard[0]} first")
    if not all(heard):
        outcome.wrong.append("the broker never confirmed all faults")
    outcome.wrong += unanswered(books) + strange(answers, books) + damaged(andon.data)
    if andon.exit_code:
        outcome.wrong.append(f"andon up ended with {andon.exit_code}")
    if "Traceback" in said:
        outcome.wrong.append(f"a traceback: {said[said.index('Traceback') :][:1500]}")
    return outcome


def _say(plc: Plc, mark: str, chance: random.Random) -> None:
    """Report a fault, that one is over, or, now and then, ask a question."""
    asset, kind = f"plant/a{chance.randrange(ASSETS)}", chance.random()
    if kind < 0.04:
        plc.ask(f"scanner{chance.randrange(5)}", mark, f"What does {chance.choice(CODES)} mean?")
    elif kind < 0.12:
        state = chance.choice(("active", "cleared"))
        plc.report(asset, mark, code=chance.choice(COMING_AND_GOING), state=state)
    else:
        plc.report(asset, mark, code=chance.choice(CODES))


def attached(heard: list[Heard]) -> list[float]:
    """Moments at which the orchestrator said, live, that it is connected and at work."""
    said = [one for one in heard if one.topic == "andon/status/orchestrator" and not one.retain]
    return [one.at for one in said if json.loads(one.payload)["state"] in {"ready", "degraded"}]


def at_risk(confirmed: dict[str, float], blows: list[Blow], ready: list[float]) -> set[str]:
    """Marks of faults that Mosquitto had confirmed, and kept nowhere but in its memory.

    A PUBACK is Mosquitto's word that it has the message, not that its disk has. While the
    orchestrator is connected the message is on its way by then: in its hands, or for the time of
    a delayed acknowledgement (40 ms) in the socket's buffer on the broker's side, which a kill
    throws away. While it is not, a kill -9 of the broker takes along what came after the last
    write of mosquitto.db. That is all it may.
    """
    risky = set()
    for blow in blows:
        if blow.name != "mosquitto" or blow.way == "stop":
            continue
        begin = max(blow.saved, blow.at - WINDOW_S)
        back = _returns(blow, blows, ready)
        for mark, at in confirmed.items():
            if not begin < at <= blow.over + _RESTART_S:
                continue
            # Away at some moment between the PUBACK and the kill?
            if any(until >= at - 0.1 for _, until in back) or at >= blow.over - _ON_THE_WAY_S:
                risky.add(mark)
    return risky


def _returns(blow: Blow, blows: list[Blow], ready: list[float]) -> list[tuple[float, float]]:
    """Since when, and until when, the orchestrator had no connection, before a broker's end."""
    away = [b.at for b in blows if b.name in {"orchestrator", "mosquitto"} and b is not blow
            and b.at < blow.over]  # fmt: skip
    return [(since, min((r for r in ready if r > since), default=blow.over)) for since in away]


def windows(confirmed: dict[str, float], blows: list[Blow], ready: list[float]) -> list[float]:
    """Of each broker killed while the orchestrator was away: s for which something was unwritten.

    A hung orchestrator is not away for `andon up` before it has ended, nor one that is away for
    less than the window.
    """
    found = []
    for blow in blows:
        if blow.name != "mosquitto" or blow.way == "stop":
            continue
        gone = [b.over for b in blows if b.name in {"orchestrator", "mosquitto"} and b is not blow
                and b.over < blow.at - WINDOW_S]  # fmt: skip
        back = [min((r for r in ready if r > since), default=blow.at) for since in gone]
        if any(until >= blow.at for until in back):
            born = max((b.over + _RESTART_S for b in blows
                        if b.name == "mosquitto" and b.over < blow.at), default=0.0)  # fmt: skip
            since = max(blow.saved, born)
            unsaved = [at for at in confirmed.values() if since < at < blow.at]
            found.append(blow.at - min(unsaved, default=blow.at))
    return found


def _settled(andon: Andon) -> Books:
    """Wait until nothing is due any more; return the books."""
    deadline = time.monotonic() + _SETTLE_S
    while True:
        books = read_books(andon.data / "ledger.db")
        if (not books.open_jobs and not books.outbox) or time.monotonic() > deadline:
            return books
        time.sleep(0.3)


def read_books(path: Path) -> Books:
    """Read the ledger while it is in use."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        faults, states = {}, {}
        for (body,) in db.execute("SELECT body FROM event WHERE kind = 'fault' ORDER BY id"):
            fault = json.loads(body)
            faults[fault["text"]] = (fault["asset"], fault["code"])
            states[fault["asset"], fault["code"]] = fault["state"]
        rows = db.execute("SELECT answer_id, body FROM answer")
        answers = {answer_id: json.loads(body) for answer_id, body in rows}
        count = "SELECT count(*) FROM job WHERE state IN ('due', 'working')"
        asks = db.execute("SELECT body FROM event WHERE kind = 'ask'")
        alarms = db.execute("SELECT asset, code, body FROM alarm").fetchall()
        return Books(
            faults=faults,
            answers=answers,
            open_jobs=db.execute(count).fetchone()[0],
            failed=[r for (r,) in db.execute("SELECT reason FROM job WHERE state = 'failed'")],
            outbox=db.execute("SELECT count(*) FROM outbox").fetchone()[0],
            asked={json.loads(body)["question"].rpartition(" ")[2] for (body,) in asks},
            unanswered_asks=db.execute(
                "SELECT count(*) FROM job LEFT JOIN answer USING (id) WHERE job.place LIKE 'ask/%'"
                " AND answer.stage IS NOT 'final'"
            ).fetchone()[0],
            states=states,
            alarms={(a, c): json.loads(body)["alarm"]["state"] for a, c, body in alarms},
        )


def unanswered(books: Books) -> list[str]:
    """Say which alarms of the ledger have no final answer, or are not what was last said."""
    final = {(a["asset"], a["code"]) for a in books.answers.values() if a["stage"] == "final"}
    standing = {one for one in books.faults.values() if one[1] not in COMING_AND_GOING}
    wrong = [f"no final answer for {asset} {code}" for asset, code in sorted(standing - final)]
    for one, state in sorted(books.states.items()):
        # Where the first word was that it is over there was nothing to remember.
        if books.alarms.get(one, "cleared") != state:
            wrong.append(f"{one[0]} {one[1]} is not {state}")
    if books.unanswered_asks:
        wrong.append(f"{books.unanswered_asks} questions have no final answer")
    if books.open_jobs or books.outbox:
        wrong.append(f"{books.open_jobs} jobs and {books.outbox} messages are left over")
    return wrong + [f"a job was given up: {reason}" for reason in books.failed]


def strange(heard: list[Heard], books: Books) -> list[str]:
    """Say which answers are not those of the ledger, changed their id, or were never on the wire.

    An alarm that stands has one answer, however often it is reported.
    """
    wrong, ids = [], dict[tuple[str, str], str]()
    finals = set[str]()
    for one in heard:
        if not one.payload:
            continue  # a retained answer that is taken back
        answer = json.loads(one.payload)
        known = books.answers.get(answer["id"])
        if known is None or (known["asset"], known["code"]) != (answer["asset"], answer["code"]):
            wrong.append(f"an answer nobody knows: {answer['id']} for {answer['asset']}")
        if answer["stage"] == "final":
            finals.add(answer["id"])
        if one.topic.startswith("andon/answer/ask/") or answer["code"] in COMING_AND_GOING:
            continue
        first = ids.setdefault((answer["asset"], answer["code"]), answer["id"])
        if first != answer["id"]:
            wrong.append(f"an alarm with a second id: {first}, then {answer['id']}")
    silent = [a for i, a in books.answers.items() if a["stage"] == "final" and i not in finals]
    if silent:
        last = silent[0]
        wrong.append(
            f"{len(silent)} final answers were not heard: {last['asset']} {last['code']} first"
        )
    return wrong


def damaged(data: Path) -> list[str]:
    """Say which databases are not whole."""
    wrong = []
    for path in sorted(data.rglob("*.db")):
        if path.name == "mosquitto.db":
            continue
        with closing(sqlite3.connect(path)) as db:
            try:
                (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
            except sqlite3.DatabaseError as error:
                verdict = str(error)
        if verdict != "ok":
            wrong.append(f"{path.name}: {verdict}")
    return wrong


def main() -> int:
    """Play rounds until there were enough of them, or the time is over."""
    parser = argparse.ArgumentParser(description="Kill Andon's processes for as long as told.")
    parser.add_argument("--seeds", type=int, help="rounds at most")
    parser.add_argument("--minutes", type=float, help="begin no round after so long")
    parser.add_argument("--first", type=int, default=int(time.time()), help="the first seed")
    parser.add_argument("--faults", type=int, default=FULL.faults, help="faults a round")
    parser.add_argument("--kills", type=int, default=FULL.kills, help="kills a round")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes if options.minutes else None
    most = options.seeds or (None if options.minutes else 1)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="andon-soak-") as name:
        (begin := Path(name) / "begin").mkdir()
        data = template(begin)
        for played in itertools.count():
            if played == most or (until and time.monotonic() >= until):
                break
            (folder := Path(name) / f"round{played}").mkdir()
            size = Size(options.faults, options.kills)
            outcome = play(options.first + played, size, data, folder)
            bad += bool(outcome.wrong)
            sys.stdout.write(f"{outcome}\n")
            if outcome.lost or outcome.wrong:
                sys.stdout.write(f"{outcome.story()}\n")
            sys.stdout.flush()
            if not outcome.wrong:
                shutil.rmtree(folder)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
