"""Puts gold questions to a running Andon, one after the other, as a client does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from schemas.answers import Answer, Ask
from schemas.retrieval import Found, Hit, Search
from services import measures
from services.gold import Question
from services.measures import Result, Seen
from services.runtime.clock import now
from services.runtime.errors import Rejected, Retryable, Unavailable
from services.scorecard import Report

MOST = 50
"""Passages of one search at most, as `schemas.retrieval.Search` has it."""
_ANSWER_S = 300.0


class Examiner:
    """Asks one question after the other, as a client does."""

    def __init__(self, client: Any, ks: Sequence[int], *, answers: bool) -> None:
        """Ask `client`, count the places `ks`, and with `answers` ask for answers as well."""
        self._client = client
        self._ks = ks
        self._answers = answers

    async def report(
        self, questions: Sequence[Question], progress: Callable[[int, int], None]
    ) -> Report:
        """Return how well all questions were answered.

        Raises:
            Unavailable: a service is not there.
        """
        corpus = await self._client.corpus()
        library = [d.file async for d in self._client.documents() if d.answers or d.searchable]
        results = []
        for done, question in enumerate(questions):
            progress(done, len(questions))
            if _is_missing(question, library):
                lost = measures.judge(question, [])
                results.append(msgspec.structs.replace(lost, missing=True))
            else:
                results.append(await self._result(question))
        progress(len(questions), len(questions))
        return Report(
            created=now(),
            files=[],
            embedding=corpus.embedding,
            passages=corpus.passages,
            figures=measures.grouped(results, self._ks),
            missing_documents=_missing(questions, library),
            results=results,
        )

    async def _result(self, question: Question) -> Result:
        """Return one question's result; a search that failed is one, with its reason."""
        search = Search(
            question=question.question,
            asset=question.asset,
            lang=question.lang,
            limit=max(self._ks),
        )
        begun = time.perf_counter()
        try:
            found: Found = await self._client.search(search)
            took = (time.perf_counter() - begun) * 1e3
            answer = await self._answer(question) if self._answers else None
        except Unavailable:
            raise
        except (Retryable, Rejected) as error:
            failed = msgspec.structs.replace(measures.judge(question, []), error=str(error))
            lost = measures.extraction(question, []) if self._answers else {}
            return msgspec.structs.replace(failed, **lost)
        result = msgspec.structs.replace(
            measures.judge(question, [seen(hit) for hit in found.hits]),
            refused=not found.hits or bool(found.unknown_codes),
            search_ms=round(took, 3),
        )
        if answer is None:
            return result
        parts = [answer.summary, *answer.causes, *answer.actions, answer.text]
        return msgspec.structs.replace(
            result, answer_ms=answer.timings_ms.total, **measures.extraction(question, parts)
        )

    async def _answer(self, question: Question) -> Answer:
        """Return the first answer: that from the passages, before a model has its word.

        The final one is waited for all the same: questions would pile up before the model.
        """
        first: list[Answer] = []
        ask = Ask(question=question.question, asset=question.asset or None)
        final: Answer = await self._client.ask(ask, timeout_s=_ANSWER_S, early=first.append)
        return first[0] if first else final


def seen(hit: Hit) -> Seen:
    """Return a passage as it is judged."""
    passage = hit.passage
    values = [field.value for field in passage.fields]
    return Seen(
        file=hit.document.file,
        pages=() if passage.page is None else (passage.page,),
        forms=measures.forms(passage.section, passage.text, values),
    )


def _missing(questions: Sequence[Question], library: Sequence[str]) -> list[str]:
    """Return the documents of questions for which the library has none that answers."""
    named = (q.places[0].doc for q in questions if _is_missing(q, library))
    return list(dict.fromkeys(named))


def _is_missing(question: Question, library: Sequence[str]) -> bool:
    """Return whether a question has its answer in documents that the library does not have."""
    named = [place.doc for place in question.places]
    return bool(named) and not any(measures.same_file(f, doc) for doc in named for f in library)
