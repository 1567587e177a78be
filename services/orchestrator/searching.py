"""The search for an answer's passages: tried again until its deadline."""

from __future__ import annotations

import asyncio
import logging
import time

from schemas.channels import SEARCH
from schemas.retrieval import Found
from services.orchestrator.records import Job, search
from services.runtime.config import Orchestrator
from services.runtime.errors import AndonError, Retryable
from services.runtime.rpc import Caller

log = logging.getLogger(__name__)

_SEARCH_S = 10.0
_LATE_S = 2.0
"""A search that begins at the deadline or behind it still has as long: passages are worth it."""
_RETRY_S = 0.2
_RETRY_MOST_S = 5.0


class Searching:
    """Asks the retriever."""

    def __init__(self, settings: Orchestrator, caller: Caller) -> None:
        self._settings = settings
        self._caller = caller

    async def found(self, job: Job) -> tuple[Found, str]:
        """Return what was found, and the key of a note where the retriever stayed away."""
        work, wait = job.work, _RETRY_S
        request = search(work, self._settings.passages)
        # Somebody may set the clock while we wait: it must not make that an hour.
        most = self._settings.deadline_s
        until = time.monotonic() + min(job.deadline_at - time.time(), most)
        while True:
            left = until - time.monotonic()
            try:
                deadline_s = min(_SEARCH_S, max(left, _LATE_S))
                return await self._caller.call(SEARCH, request, deadline_s=deadline_s), ""
            except Retryable as error:
                if left <= wait:
                    log.warning("the deadline is over without a search: %s", error)
                    return Found(hits=[]), "no_retriever"
                log.info("the search is tried again: %s", error)
            except AndonError as error:
                log.error("the search failed: %s", error)  # noqa: TRY400  its reason is enough
                return Found(hits=[]), "search_failed"
            await asyncio.sleep(wait)
            wait = min(wait * 2, _RETRY_MOST_S)
