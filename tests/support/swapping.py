"""Two models that are told apart by the letter each writes most, and a bridge that changes them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from schemas.channels import LIST_MODELS, USE_MODEL
from schemas.generation import Generated
from schemas.models import Cartridge, ListModels, ModelList, Switched, UseModel, UseStep
from services.model_server import ModelServer
from services.runtime.config import Bridge
from tests.support.bridge import Served, bridge, request
from tests.support.llama_server import server_process
from tests.support.tiny_gguf import write_tiny_gguf

LETTERS = {"alpha": "x", "beta": "q"}
"""By the models' names."""


def write_both(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, letter) in enumerate(LETTERS.items()):
        write_tiny_gguf(folder / f"{name}.gguf", name=name, seed=number, favourite=letter)


def writer_of(answer: Generated) -> str:
    """Which model wrote an answer, by its letters."""
    points = [*answer.causes, *answer.actions]
    letters = Counter(answer.summary + "".join(point.text for point in points))
    return max(LETTERS, key=lambda name: letters[LETTERS[name]])


async def use(served: Served, name: str, context: int = 0) -> list[UseStep]:
    """Change to a model; the steps."""
    asked = UseModel(name=name, context=context)
    return [step async for step in served.caller.stream(USE_MODEL, asked, deadline_s=240)]


async def models(served: Served) -> dict[str, Cartridge]:
    listed: ModelList = await served.caller.call(LIST_MODELS, ListModels(), deadline_s=60)
    return {one.name: one for one in listed.models}


async def until(
    served: Served, seen: Callable[[dict[str, Cartridge]], bool]
) -> dict[str, Cartridge]:
    """The models, once they are as wanted."""
    async with asyncio.timeout(60):
        while not seen(known := await models(served)):  # noqa: ASYNC110  asked by rpc
            await asyncio.sleep(0.05)
    return known


async def settled(served: Served, *names: str) -> dict[str, Cartridge]:
    """The models, once these are known and none is being copied."""
    return await until(
        served,
        lambda known: (
            set(names) <= set(known) and all(one.state != "copying" for one in known.values())
        ),
    )


async def switched_under_load(
    served: Served, names: list[str], askers: int, took_s: list[float] | None = None
) -> list[tuple[str, Generated]]:
    """Ask without a pause while one model after the other is chosen; who wrote, and the answer.

    An answer that is lost raises. Into `took_s` goes how long each change took.
    """
    over = asyncio.Event()
    answers: list[tuple[str, Generated]] = []

    async def some_more() -> None:
        wanted = len(answers) + 3
        while len(answers) < wanted:  # noqa: ASYNC110  a plain list
            await asyncio.sleep(0.01)

    async def ask(asker: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            _, answer = await served.ask(
                request(f"What is {asker}, {number}?", id=f"{asker}-{number}", max_tokens=64)
            )
            answers.append((writer_of(answer), answer))

    async with asyncio.TaskGroup() as tasks:
        for asker in range(askers):
            tasks.create_task(ask(asker))
        for name in names:
            await some_more()
            begun = time.perf_counter()
            steps = await use(served, name)
            if took_s is not None:
                took_s.append(time.perf_counter() - begun)
            assert isinstance(steps[-1], Switched)
            assert steps[-1].model == name
        await some_more()
        over.set()
    return answers


@asynccontextmanager
async def model_server(data: Path, said: list[str]) -> AsyncIterator[ModelServer]:
    """Follow the choice as `andon up --model` does."""
    server = ModelServer(data, stop_within_s=10, tell=said.append)
    task = asyncio.create_task(server.keep())
    try:
        yield server
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def routed(
    folder: Path, *options: str, slots: int = 1, **more: object
) -> AsyncIterator[Served]:
    """A bridge before a real router."""
    size = ("--ctx-size", str(2048 * slots), "--parallel", str(slots), "--no-warmup")
    where = ("--models-dir", str(folder))
    with server_process(folder.parent, *where, *size, *options) as server:
        settings = Bridge(
            url=server.url,
            slots=slots,
            model_folders=(str(folder),),
            **more,  # type: ignore[arg-type]
        )
        async with bridge(settings, folder.parent / "data") as served:
            yield served
