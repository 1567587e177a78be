"""Alarms that stand are answered anew when the manuals they were answered from have changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from schemas.answers import Answer
from schemas.channels import CORPUS
from schemas.health import ServiceStatus
from schemas.retrieval import CorpusQuery
from services.orchestrator.ledger import Ledger
from services.runtime.errors import AndonError, Retryable
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

SETTLED_S = 3.0
"""Changes of the corpus that follow each other more closely count as one."""
_AT_ONCE = 50
"""Answers made due together; the next ones when these are given."""
_AGAIN_S = 2.0
_RPC_S = 30.0
_OPEN = "SELECT count(*) FROM job WHERE state IN ('due', 'working') AND priority = ?"
_LAST = 2
"""Priority of what can wait for all else."""
_GIVEN = """
SELECT job.id, answer.body, answer.generation FROM job JOIN answer ON answer.id = job.id
WHERE job.answer_id = ? AND job.place = ? AND job.state IN ('done', 'failed')
"""
_DUE = """
UPDATE job SET state = 'due', reason = '', attempts = attempts + 1, lease_until = NULL,
    priority = ?, front = 0, received_at = ?, deadline_at = ?
WHERE id = ? AND state IN ('done', 'failed')
"""

Revision = tuple[str, int]
"""Document and its revision."""


@dataclass(frozen=True, slots=True)
class _Given:
    """An answer that stands."""

    id: int
    """Its job."""
    cited: frozenset[Revision]
    generation: int | None
    """Of the corpus it was given from, where that is known."""


def is_stale(cited: Collection[Revision], active: Collection[Revision], *, grown: bool) -> bool:
    """Return whether an answer may be another now (pure).

    Args:
        cited: the revisions it cites.
        active: the revisions that answer.
        grown: whether manuals may have come that were not there when it was given.
    """
    return any(one not in active for one in cited) if cited else grown


class Refresh:
    """Watches the corpus, and makes stale answers of standing alarms due again."""

    def __init__(
        self, ledger: Ledger, caller: Caller, *, deadline_s: float, wake: Callable[[], None]
    ) -> None:
        """Prepare.

        Args:
            ledger: the alarms and their answers.
            caller: asks the retriever.
            deadline_s: how long an answer may take.
            wake: told that work is due.
        """
        self._ledger = ledger
        self._caller = caller
        self._deadline_s = deadline_s
        self._wake = wake
        self._corpus: tuple[object, bool] = (None, False)
        self._changed = asyncio.Event()
        self._done: object = None

    def heard(self, status: ServiceStatus) -> None:
        """Take note of what the retriever says of its corpus."""
        if status.state not in {"ready", "degraded"}:
            return
        corpus = (status.facts.get("generation"), not status.facts.get("incomplete"))
        if corpus != self._corpus:
            self._corpus = corpus
            self._changed.set()

    async def run(self) -> None:
        """Wait for changes, and see to the answers when they have settled."""
        while True:
            await self._changed.wait()
            while self._changed.is_set():
                self._changed.clear()
                await asyncio.sleep(SETTLED_S)
            generation, whole = self._corpus
            if not whole or generation == self._done:
                continue
            try:
                await self._all()
            except Retryable as error:
                log.info("standing answers are looked at later: %s", error)
                await asyncio.sleep(_AGAIN_S)
                self._changed.set()
            except AndonError as error:
                log.warning("standing answers are not looked at: %s", error)
            else:
                self._done = generation

    async def _all(self) -> None:
        """Make due what is stale. Raises AndonError."""
        given = await self._given()
        generation, active = await self._answering({one for job in given for one in job.cited})
        stale = [
            job.id
            for job in given
            if is_stale(job.cited, active, grown=job.generation != generation)
        ]
        if stale:
            log.info("the manuals changed: %d standing alarms are answered anew", len(stale))
        for some in _parts(stale):
            await self._make_due(some)

    async def _given(self) -> list[_Given]:
        """Return what was answered to the alarms that stand, oldest first."""
        given: list[_Given] = []
        standings = sorted(await self._ledger.standings(), key=lambda one: one.seen_at)
        for standing in standings:
            if not standing.active:
                continue
            rows = await self._ledger.database.fetch(
                _GIVEN, (standing.alarm.answer_id, standing.asset)
            )
            for row in rows:
                answer = msgspec.json.decode(row["body"], type=Answer)
                cited = frozenset((c.doc_id, c.revision) for c in answer.citations)
                given.append(_Given(row["id"], cited, row["generation"]))
        return given

    async def _answering(self, cited: set[Revision]) -> tuple[int, set[Revision]]:
        """Return the corpus generation, and those of these revisions that answer."""
        generation: int | None = None
        active: set[Revision] = set()
        query = CorpusQuery(totals=False)
        async with aclosing(self._caller.pages(CORPUS, query, deadline_s=_RPC_S)) as pages:
            async for corpus in pages:
                refs = (one.document for one in corpus.documents if one.active)
                active |= cited & {(ref.doc_id, ref.revision) for ref in refs}
                # The first page's: a later change is told by the retriever, and looked at then.
                generation = corpus.generation if generation is None else generation
        return generation or 0, active

    async def _make_due(self, ids: Sequence[int]) -> None:
        """Make some due, and wait until most of them are given."""
        database, at = self._ledger.database, time.time()
        async with database.transaction() as db:
            await db.executemany(_DUE, [(_LAST, at, at + self._deadline_s, one) for one in ids])
        self._wake()
        while True:
            row = await database.first(_OPEN, (_LAST,))
            if not row or row[0] <= _AT_ONCE // 2:
                return
            await asyncio.sleep(1.0)


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), _AT_ONCE):
        yield ids[begin : begin + _AT_ONCE]
