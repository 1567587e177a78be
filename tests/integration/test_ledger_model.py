"""The ledger against a model of dictionaries: any order of work, any restart, the same books."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.answers import Answer, Ask
from schemas.faults import Alarm, Priority
from services.orchestrator.board import Changes
from services.orchestrator.ledger import Ledger
from services.orchestrator.records import Again, Deeds, Entry, Job, Outgoing, Work

pytestmark = pytest.mark.integration

T = TypeVar("T")
NOW = "2026-01-31T12:00:00.000Z"
NOTHING = Changes({}, {})
RANK: dict[Priority, int] = {"critical": 0, "warning": 1, "advice": 2}
IDS = st.sampled_from(["a", "b", "c", "d"])
# Few of each, so that they often meet.
PRIORITIES: st.SearchStrategy[Priority] = st.sampled_from(["critical", "warning"])


@dataclass
class Modelled:
    """What a job is, in the plainest way."""

    number: int
    question: str
    priority: Priority
    state: str = "due"
    front: bool = False
    stands: bool = False


def alarm(answer_id: str, priority: Priority) -> Alarm:
    return Alarm(
        code="E1",
        state="active",
        priority=priority,
        occurrences=2,
        first_seen=NOW,
        last_seen=NOW,
        chattering=False,
        answer_id=answer_id,
    )


class Books(RuleBasedStateMachine):
    """Questions come in, are claimed, answered, asked again; the process dies and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        self._path = Path(self._folder.name) / "ledger.db"
        self._ledger = self._do(Ledger.open(self._path))
        self._jobs: dict[str, Modelled] = {}
        self._held: dict[str, Job] = {}
        self._events = 0
        self._outbox: list[str] = []

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    @rule(answer_id=IDS, question=st.sampled_from(["why?", "how?"]), priority=PRIORITIES)
    def ask(self, answer_id: str, question: str, priority: Priority) -> None:
        work = Work(
            answer_id=answer_id,
            place="plant/m1",
            asset="plant/m1",
            code="",
            question=question,
            lang="en",
            priority=priority,
            trace="",
            first_seen=NOW,
            last_seen=NOW,
        )
        entry = Entry("t", Ask(question=question), NOW, work=work)
        self._do(self._ledger.accept([entry], [], NOTHING, deadline_s=60))
        self._events += 1
        job = self._jobs.get(answer_id)
        if job is None:
            self._jobs[answer_id] = Modelled(self._events, question, priority)
        elif job.state in {"done", "failed"} or job.question != question:
            job.question, job.priority, job.state = question, priority, "due"
            self._held.pop(answer_id, None)

    @rule(answer_id=IDS, priority=PRIORITIES, front=st.booleans())
    def report_again(self, answer_id: str, priority: Priority, front: bool) -> None:
        again = Again("plant/m1", answer_id, alarm(answer_id, priority), front)
        self._do(self._ledger.accept([], [], NOTHING, deadline_s=60, deeds=[Deeds(again=[again])]))
        job = self._jobs.get(answer_id)
        if not job or job.state not in {"done", "failed"}:
            return
        if job.stands:
            self._outbox += [f"andon/{kind}/plant/m1" for kind in ("answer", "display")]
        else:
            job.state, job.priority, job.front = "due", priority, front

    @rule(answer_id=IDS, priority=PRIORITIES)
    def escalate(self, answer_id: str, priority: Priority) -> None:
        urgent = [("plant/m1", answer_id, alarm(answer_id, priority))]
        self._do(self._ledger.accept([], [], NOTHING, deadline_s=60, deeds=[Deeds(urgent=urgent)]))
        job = self._jobs.get(answer_id)
        if job and job.state in {"due", "working"}:
            job.priority = priority

    @rule(limit=st.integers(1, 2))
    def claim(self, limit: int) -> None:
        due = [(name, job) for name, job in self._jobs.items() if job.state == "due"]
        due.sort(key=lambda one: (RANK[one[1].priority], not one[1].front, one[1].number))
        claimed = self._do(self._ledger.claim(limit, lease_s=60))
        assert [job.work.answer_id for job in claimed] == [name for name, _ in due[:limit]]
        for job in claimed:
            self._jobs[job.work.answer_id].state = "working"
            self._held[job.work.answer_id] = job

    @precondition(lambda self: self._held)
    @rule(data=st.data(), failed=st.sampled_from(["", "because"]), searched=st.booleans())
    def finish(self, data: st.DataObject, failed: str, searched: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self._held)))
        job = self._held.pop(name)
        answer = Answer(
            id=name,
            stage="final",
            asset=None,
            code="",
            question="",
            lang="en",
            summary="",
            text="",
            answered_by="none",
            first_seen=NOW,
            last_seen=NOW,
            created=NOW,
        )
        out = [Outgoing(topic=f"answer/{name}", payload=b"")]
        generation = 7 if searched else None
        self._do(
            self._ledger.answer(job, answer, out, done=True, failed=failed, generation=generation)
        )
        self._jobs[name].stands = searched
        self._outbox.append(f"answer/{name}")
        self._jobs[name].state = "failed" if failed else "done"

    @rule(n=st.integers(1, 5))
    def leave(self, n: int) -> None:
        waiting = self._do(self._ledger.outbox(0, n))
        self._do(self._ledger.sent([message.id for message in waiting]))
        self._do(self._ledger.settle())
        del self._outbox[: len(waiting)]

    @rule()
    def die_and_come_back(self) -> None:
        self._do(self._ledger.close())
        self._ledger = self._do(Ledger.open(self._path))
        working = [job for job in self._jobs.values() if job.state == "working"]
        assert self._do(self._ledger.release(all_of_it=True)) == len(working)
        for job in working:
            job.state = "due"
        self._held.clear()

    @invariant()
    def the_books_agree(self) -> None:
        counts = self._do(self._ledger.counts())
        states = [job.state for job in self._jobs.values()]
        assert counts["jobs_open"] == states.count("due") + states.count("working")
        assert counts["jobs_failed"] == states.count("failed")
        assert [m.topic for m in self._do(self._ledger.outbox(0))] == self._outbox

    def teardown(self) -> None:
        self._do(self._ledger.close())
        self._runner.close()
        self._folder.cleanup()


class TestBooks(Books.TestCase):  # type: ignore[misc]
    # Not shrunk: each step is a commit to a disk, and a run of 40 reads well enough.
    settings = settings(
        max_examples=80,
        stateful_step_count=40,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
    )
