"""A second opinion on the order: a reranker model behind llama-server's `POST /v1/rerank`.

It reads question and passage together, which is dear, and so only the best of ours. It decides
nothing but their order: what is found at all, and which passage defines an asked code, are facts
of our own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from services.retriever.model_server import Call, ModelServer
from services.runtime.config import Retriever
from services.runtime.errors import AndonError, DeadlineExceeded, Rejected, Retryable

CHARACTERS = 2000
"""What is longer is cut before it is sent: a server refuses all where one is too long for it."""
AT_ONCE = 2
"""Searches whose passages are with the server at the same time; others wait within their time."""
REST_S, LONGEST_REST_S = 5.0, 60.0
"""After a trouble the server is not asked for so long, doubled with each that follows."""

T = TypeVar("T")


class _Result(msgspec.Struct):
    index: int
    relevance_score: float | None = None
    score: float | None = None
    """So called where the reply is a bare list, as that of text-embeddings-inference."""


class _Reply(msgspec.Struct):
    results: list[_Result]


_decode = msgspec.json.Decoder(_Reply | list[_Result]).decode


class Reranker:
    """Puts the best passages of a search in the order of a model, or leaves them as they are."""

    def __init__(
        self,
        settings: Retriever,
        on_rerank: Callable[[AndonError | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            settings: where the model is, and how much it may take.
            on_rerank: told after each request whether it went well.
            clock: seconds that only grow.

        Raises:
            Fatal: the address or the authority's file is wrong.
        """
        self._server = ModelServer(
            settings.rerank_url,
            "retriever.rerank_url",
            api_key=settings.rerank_api_key,
            ca=settings.rerank_ca,
        )
        path = self._server.path
        self._path = path if path.endswith("rerank") else f"{path}/v1/rerank"
        self._model = settings.rerank_model
        self._within_s = settings.rerank_within_s
        self.passages = settings.rerank_passages
        """So many of the best are put in order, at most."""
        self._on_rerank = on_rerank
        self._clock = clock
        # Its own: a server that hangs must not hold the threads of everyone else.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rerank")
        self._failures = 0
        self._asked_again_at = 0.0

    async def order(
        self,
        question: str,
        found: Sequence[T],
        *,
        text: Callable[[T], str],
        stays: Callable[[T], bool],
    ) -> list[T]:
        """Return what was found with the best of it in the model's order.

        Args:
            question: what is asked.
            found: passages, best first.
            text: the words of one.
            stays: whether nothing from behind may come before it; what is before it stays too.
        """
        best = found[: self.passages]
        first = max((place for place, one in enumerate(best, 1) if stays(one)), default=0)
        moving = best[first:]
        if len(moving) < 2 or self._clock() < self._asked_again_at:
            return list(found)
        try:
            scores = await self._scores(question, [text(one)[:CHARACTERS] for one in moving])
        except (Retryable, Rejected) as error:
            rest = min(LONGEST_REST_S, REST_S * 2.0 ** min(self._failures, 10))
            self._failures += 1
            self._asked_again_at = self._clock() + rest
            self._on_rerank(error)
            return list(found)
        self._failures = 0
        self._on_rerank(None)
        # Equals stay in our order.
        places = sorted(range(len(moving)), key=lambda place: -scores[place])
        return [*best[:first], *(moving[place] for place in places), *found[len(best) :]]

    def close(self) -> None:
        """Let go of requests and threads, without waiting for a server that hangs."""
        self._server.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _scores(self, question: str, texts: list[str]) -> list[float]:
        """Return the model's score of each text.

        Raises:
            Retryable: the server is away or slow.
            Rejected: it refuses, or answers something else.
        """
        if self._failures:
            self._asked_again_at = self._clock() + self._within_s  # one tries, not all
        operation = f"rerank by {self._server.name}"
        call = Call()
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._ask, operation, question, texts, call
        )
        try:
            async with asyncio.timeout(self._within_s):
                payload = await work
        except TimeoutError as error:
            call.end()  # the thread is free for the next
            reason = f"no reply within {self._within_s:g} s"
            hint = "fewer retriever.rerank_passages, or a smaller model"
            raise DeadlineExceeded(operation, reason, hint) from error
        return read(operation, payload, len(texts))

    def _ask(self, operation: str, question: str, texts: list[str], call: Call) -> bytes:
        body: dict[str, object] = {"query": question, "documents": texts}
        if self._model:
            body["model"] = self._model
        return self._server.post(
            operation,
            self._path,
            body,
            patience_s=self._within_s,
            hint="was llama-server started with --rerank, and -ub as large as its context?",
            call=call,
        )


def read(operation: str, payload: bytes, count: int) -> list[float]:
    """Return the scores of a reply in the order of what was sent (pure).

    Args:
        operation: for messages.
        payload: JSON, results in any order.
        count: how many texts were sent.

    Raises:
        Rejected: another number of results, one twice, a score that is no number, or no such reply.
    """
    try:
        reply = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Rejected(operation, f"not a rerank reply: {error}") from error
    results = reply.results if isinstance(reply, _Reply) else reply
    if len(results) != count or {one.index for one in results} != set(range(count)):
        raise Rejected(operation, f"{len(results)} results for {count} passages, or one twice")
    scores = [0.0] * count
    for one in results:
        score = one.score if one.relevance_score is None else one.relevance_score
        if score is None:
            raise Rejected(operation, f"the score of passage {one.index} is no number")
        scores[one.index] = score
    return scores
