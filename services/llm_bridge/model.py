"""The model behind the server: what it is, and an answer from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from schemas.generation import Generate, Generated, Piece, PromptPassage, TextDelta
from services.llm_bridge import budget, errors, prompt
from services.llm_bridge.answer_form import AnswerReader, Form, form_for
from services.llm_bridge.counter import TokenCounter
from services.llm_bridge.errors import BrokenOutput, NotOffered
from services.llm_bridge.llama import Done, LlamaServer, Props, Token
from services.runtime.config import Bridge

_FALLBACK_CONTEXT = 4096
"""Context assumed where neither the server nor the configuration tells, tokens."""
_TRIES = 2
_FREER = 0.3
"""Added to the temperature of another try: at 0 the same words would come again."""
_GATHER_S = 0.04
"""Text written faster than this is sent in larger pieces: no eye follows it."""
_LONGEST = 24
"""Characters a token has at most, on the average; a server that ignores the limit is left."""


@dataclass(slots=True)
class _Try:
    """One run of the model."""

    reader: AnswerReader
    first_token: float = 0.0
    done: Done | None = None


class Model:
    """Works out answers with what the server runs."""

    def __init__(self, settings: Bridge, llama: LlamaServer, props: Props | None) -> None:
        """Take what the server told; None where it is no llama-server and tells nothing."""
        self._settings = settings
        self._llama = llama
        self.props = Props(
            model=settings.model or (props.model if props else "model"),
            context=settings.context or (props.context if props else _FALLBACK_CONTEXT),
            slots=props.slots if props else settings.slots,
        )
        self.tells = props is not None
        """Whether the server counts tokens for us."""
        self._count = TokenCounter(llama.count_tokens)

    @classmethod
    async def probe(cls, settings: Bridge, llama: LlamaServer) -> Model:
        """Ask the server what it runs; raises as `LlamaServer` does when it cannot work now."""
        try:
            await llama.health()
            props = await llama.props()
        except NotOffered:
            return cls(settings, llama, None)
        return cls(settings, llama, props)

    def same_as(self, other: Model | None) -> bool:
        """Return whether the other one is this one, counts and all."""
        return other is not None and (other.props, other.tells) == (self.props, self.tells)

    async def write(
        self,
        request: Generate,
        slot: int | None = None,  # noqa: ARG002  the server is not told yet
    ) -> AsyncGenerator[Piece, None]:
        """Yield the answer's text as it is written, then the answer.

        One answer that is not in form is tried again. Its text is then not sent a second time:
        what counts is the last piece.

        Raises:
            Rejected: the question is too long for the model, or the server refuses the request.
            BrokenOutput: both tries were broken.
            Retryable: as `LlamaServer`.
        """
        clock = asyncio.get_running_loop().time
        begun = clock()
        fitted = await budget.fit(
            request.passages,
            context=self.props.context,
            max_tokens=request.max_tokens,
            measure=lambda passages: self._measure(request, passages),
        )
        numbers = [passage.n for passage in fitted.passages]
        form = form_for(fitted.answer_tokens, request.lang)
        told = False
        for number in range(_TRIES):
            this = _Try(AnswerReader(request.lang, passages=numbers))
            silent = told
            try:
                async with aclosing(self._run(request, fitted, form, number, this)) as texts:
                    async for text in texts:
                        if not silent:
                            told = True
                            yield TextDelta(text=text)
                answer = this.reader.answer(cut=this.done is not None and this.done.cut)
            except BrokenOutput:
                if number + 1 == _TRIES:
                    raise
                continue
            done = this.done
            yield Generated(
                summary=answer.summary,
                causes=answer.causes,
                actions=answer.actions,
                model=self.props.model,
                passages_used=len(numbers),
                prompt_tokens=done.prompt_tokens if done else fitted.prompt_tokens,
                cached_tokens=done.cached_tokens if done else 0,
                answer_tokens=done.answer_tokens if done else 0,
                first_token_ms=round((this.first_token - begun) * 1000, 1),
                total_ms=round((clock() - begun) * 1000, 1),
            )
            return

    async def _run(
        self, request: Generate, fitted: budget.Fit, form: Form, number: int, this: _Try
    ) -> AsyncGenerator[str, None]:
        """Yield readable text, gathered to pieces worth a message."""
        clock = asyncio.get_running_loop().time
        gathered, sent, length = "", 0.0, 0
        async with aclosing(self._ask(request, fitted, form, number)) as pieces:
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
        self, request: Generate, fitted: budget.Fit, form: Form, number: int
    ) -> AsyncGenerator[Token | Done, None]:
        schema = form.schema([passage.n for passage in fitted.passages])
        temperature = min(self._settings.temperature + number * _FREER, 2.0)
        room = fitted.answer_tokens
        if self._settings.api == "completion":
            text = prompt.plain(request, fitted.passages)
            return self._llama.complete(
                text, schema=schema, max_tokens=room, temperature=temperature
            )
        messages = prompt.messages(request, fitted.passages)
        return self._llama.chat(messages, schema=schema, max_tokens=room, temperature=temperature)

    async def _measure(self, request: Generate, passages: Sequence[PromptPassage]) -> int:
        """Return the tokens of the whole prompt, as the server reads it."""
        text = prompt.plain(request, passages)
        if not self.tells:
            return budget.estimate(text)
        if self._settings.api == "chat":
            text = await self._llama.apply_template(prompt.messages(request, passages))
        return await self._count(text)
