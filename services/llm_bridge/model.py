"""The model behind the server: what it is, and an answer from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from secrets import randbelow

from schemas.generation import Generate, Generated, Piece, PromptPassage, TextDelta
from services.llm_bridge import budget, errors, prompt
from services.llm_bridge.answer_form import AnswerReader, form_for
from services.llm_bridge.budget import Fit, Reading
from services.llm_bridge.counter import TokenCounter
from services.llm_bridge.errors import BrokenOutput
from services.llm_bridge.llama import Done, LlamaServer, Token, Writing
from services.llm_bridge.props import Props
from services.llm_bridge.slots import PrefixReuse, SlotBook
from services.runtime.config import Bridge
from services.runtime.errors import Rejected

_FALLBACK_CONTEXT = 4096
"""Context assumed where neither the server nor the configuration tells, tokens."""
_TRIES = 2
_FREER = 0.3
"""Added to the temperature of another try: with the same one the same words would come again."""
_SEEDS = 2**32 - 1
"""Seeds there are; llama.cpp takes this number itself for "any"."""
_GATHER_S = 0.04
"""Text written faster than this is sent in larger pieces: no eye follows it."""
_LONGEST = 24
"""Characters a token has at most, on the average; a server that ignores the limit is left."""


@dataclass(slots=True)
class _Try:
    """One run of the model."""

    reader: AnswerReader
    how: Writing
    first_token: float = 0.0
    done: Done | None = None


class Model:
    """Works out answers with what the server runs."""

    def __init__(self, settings: Bridge, llama: LlamaServer, props: Props) -> None:
        """Take what the server told.

        Raises:
            Rejected: the server does not offer the form that `llm_bridge.api` asks for.
        """
        if settings.api == "completion" and props.kind != "llama":
            raise Rejected(
                errors.SERVER,
                "llm_bridge.api is completion, which is llama-server's own, and this is another",
                "set llm_bridge.api: chat",
            )
        self._settings = settings
        self._llama = llama
        self.told = props
        """What the server told."""
        told = [size for size in (props.context, settings.context) if size]
        self.props = Props(
            kind=props.kind,
            model=props.model or "model",
            context=min(told, default=_FALLBACK_CONTEXT),
            slots=props.slots or settings.slots,
        )
        """What it is, with what the configuration says where the server does not."""
        self._count = TokenCounter(llama.count_tokens)
        self._slots = SlotBook(props.slots)
        self._reuse = PrefixReuse()

    @classmethod
    async def probe(cls, settings: Bridge, llama: LlamaServer) -> Model:
        """Ask the server what it runs; raises as `LlamaServer` does when it cannot work now."""
        return cls(settings, llama, await llama.props())

    def same_as(self, other: Model | None) -> bool:
        """Return whether the other one is this one, counts and all."""
        return other is not None and other.told == self.told

    @property
    def facts(self) -> dict[str, float]:
        """What is to be told of its work: `prefix_reused`, once there is something to tell."""
        share = self._reuse.share
        return {} if share is None else {"prefix_reused": round(share, 3)}

    def choose(self, free: Sequence[int], request: Generate) -> int:
        """Return the free slot that knows most of a request's prompt."""
        known = [slot for slot in free if slot < self.told.slots]
        if not known:
            return free[0]
        return self._slots.choose(prompt.plain(request, request.passages), known)

    async def write(
        self, request: Generate, slot: int | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Yield the answer's text as it is written, then the answer.

        One answer that is not in form is tried again. Its text is then not sent a second time:
        what counts is the last piece.

        Args:
            request: what is asked.
            slot: of llama-server's, where it was decided already; else the one is taken that
                knows most of the prompt.

        Raises:
            Rejected: the question is too long for the model, or the server refuses the request.
            BrokenOutput: both tries were broken.
            Retryable: as `LlamaServer`.
        """
        clock = asyncio.get_running_loop().time
        begun = clock()
        lasting = prompt.system(request)
        later = self._reuse.knows(lasting)
        whole = prompt.plain(request, request.passages)
        with self._slots.hold(whole, len(lasting), slot) as held:
            fitted = await budget.fit(
                request.passages,
                context=self.props.context,
                max_tokens=request.max_tokens,
                read=lambda passages: self.read(request, passages),
                lengths=self._llama.token_lengths,
            )
            lasting_tokens = await self._count_lasting(lasting, fitted.prompt.text)
            seed = request.seed if request.seed is not None else randbelow(_SEEDS)
            told = False
            for number in range(_TRIES):
                this = self._try(request, fitted, number, seed, held)
                silent = told
                try:
                    async with aclosing(self._run(request, fitted, this)) as texts:
                        async for text in texts:
                            if not silent:
                                told = True
                                yield TextDelta(text=text)
                    answer = this.reader.answer(cut=this.done is not None and this.done.cut)
                except BrokenOutput:
                    if number + 1 == _TRIES:
                        raise
                    continue
                finally:
                    done = this.done
                    if done is not None and done.cached_tokens is not None and this.how.cache:
                        self._reuse.add(lasting, lasting_tokens, done.cached_tokens, later=later)
                yield Generated(
                    summary=answer.summary,
                    causes=answer.causes,
                    actions=answer.actions,
                    model=self.props.model,
                    identity=self.told.identity,
                    passages_used=len(fitted.passages),
                    left_out=fitted.left_out,
                    shortened=fitted.shortened,
                    temperature=this.how.temperature,
                    seed=seed,
                    prompt_tokens=done.prompt_tokens if done else fitted.prompt.tokens,
                    cached_tokens=(done.cached_tokens or 0) if done else 0,
                    answer_tokens=done.answer_tokens if done else 0,
                    first_token_ms=round((this.first_token - begun) * 1000, 1),
                    total_ms=round((clock() - begun) * 1000, 1),
                )
                return

    def _try(
        self, request: Generate, fitted: Fit, number: int, seed: int, slot: int | None
    ) -> _Try:
        numbers = [passage.n for passage in fitted.passages]
        asked = request.temperature
        temperature = self._settings.temperature if asked is None else asked
        how = Writing(
            schema=form_for(fitted.answer_tokens, request.lang).schema(numbers),
            max_tokens=fitted.answer_tokens,
            temperature=min(temperature + number * _FREER, 2.0),
            seed=seed,
            slot=slot,
            # What is read together is rounded otherwise than what is read in two parts, and one
            # bit may turn a word: who gives a seed wants the same answer, at the price of time.
            cache=request.seed is None,
        )
        return _Try(AnswerReader(request.lang, passages=numbers), how)

    async def _run(self, request: Generate, fitted: Fit, this: _Try) -> AsyncGenerator[str, None]:
        """Yield readable text, gathered to pieces worth a message."""
        clock = asyncio.get_running_loop().time
        gathered, sent, length = "", 0.0, 0
        async with aclosing(self._ask(request, fitted, this.how)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Done):
                    this.done = piece
                    break
                this.first_token = this.first_token or clock()
                gathered += this.reader.feed(piece.text)
                length += len(piece.text)
                if length > _LONGEST * fitted.answer_tokens:
                    if this.reader.complete:
                        break
                    raise errors.endless(length)
                if gathered and clock() - sent >= _GATHER_S:
                    yield gathered
                    gathered, sent = "", clock()
        if gathered:
            yield gathered

    def _ask(
        self, request: Generate, fitted: Fit, how: Writing
    ) -> AsyncGenerator[Token | Done, None]:
        if self._settings.api == "completion":
            return self._llama.complete(fitted.prompt.text, how)
        return self._llama.chat(prompt.messages(request, fitted.passages), how)

    async def read(self, request: Generate, passages: Sequence[PromptPassage]) -> Reading:
        """Return the whole prompt, as the server reads it, and its tokens.

        A chat model asked without its template answers badly, so its prompt goes through it in
        both forms of asking.
        """
        plain = prompt.plain(request, passages)
        messages = prompt.messages(request, passages)
        if self.told.kind == "vllm":
            return Reading(plain, await self._llama.count_chat(messages))
        if not self.told.counts:
            return Reading(plain, budget.estimate(plain))
        if self._settings.api == "chat" or self.told.template:
            plain = await self._llama.apply_template(messages)
        return Reading(plain, await self._count(plain))

    async def _count_lasting(self, lasting: str, text: str) -> int:
        """Return the tokens of a prompt up to the end of what never changes."""
        place = text.find(lasting)
        head = text[: place + len(lasting)] if place >= 0 else lasting
        return await self._count(head) if self.told.kind == "llama" else budget.estimate(head)
