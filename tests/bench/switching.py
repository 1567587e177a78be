"""The model is changed while requests run: what is lost, who answers, and how long it takes.

The models are tiny and their weights random, each with a letter of its own that tells who wrote:
this shows that nothing is lost and Andon's own part of the time, not how long a real model loads.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from schemas.models import Choice, Chosen
from services.model_server import kept
from services.runtime import choice
from services.runtime.config import Bridge
from tests.support.bridge import Served, bridge
from tests.support.swapping import (
    LETTERS,
    model_server,
    routed,
    settled,
    switched_under_load,
    write_both,
)

_TIMES = 5
_ASKERS = 4


async def measure() -> dict[str, Any]:
    """Return the figures of a router that changes its model, and of a server started anew."""
    if (program := kept()) is None:
        return {"not measured": "no llama-server was built: call `make llama-server`"}
    figures = {}
    # Two servers' threads that wait for each other on two cores would be what is measured.
    path = f"{program.parent}:{os.environ['PATH']}"
    with patch.dict(os.environ, {"LLAMA_ARG_THREADS": "1", "PATH": path}):
        for name, kind in (("router", _router), ("restart", _restart)):
            with tempfile.TemporaryDirectory() as folder:
                models = Path(folder) / "models"
                write_both(models)
                figures[name] = await kind(models)
    return figures


async def _router(models: Path) -> dict[str, Any]:
    async with routed(models, slots=2, model="alpha") as served:
        await served.until(model="alpha")
        await settled(served, *LETTERS)
        return await _changes(served)


async def _restart(models: Path) -> dict[str, Any]:
    data = models.parent / "data"
    first = Choice(path=str(models / "alpha.gguf"), context=2048, slots=1, since="first")
    choice.write(data, Chosen(now=first))
    async with model_server(data, []) as server:
        settings = Bridge(url=server.url, api_key=server.key, model_folders=(str(models),))
        async with bridge(settings, data) as served:
            await served.until(model="alpha")
            await settled(served, *LETTERS)
            return await _changes(served)


async def _changes(served: Served) -> dict[str, Any]:
    took_s: list[float] = []
    names = [list(LETTERS)[number % 2] for number in range(1, 2 * _TIMES + 1)]
    answers = await switched_under_load(served, names, _ASKERS, took_s)
    return {
        "changes": len(took_s),
        "answers": len(answers),
        "lost": 0,  # one that is lost ends the measurement with its error
        "by another model than it says": sum(w != answer.model for w, answer in answers),
        "change_s": {"p50": round(statistics.median(took_s), 2), "max": round(max(took_s), 2)},
    }
