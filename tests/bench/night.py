"""A fault whose answer was prepared, with a model that takes minutes: fault to final answer.

The model is a stand-in that repeats the manual and then takes ten minutes an answer: what is
measured is Andon's own time, and shows nothing of a real model's quality.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.system import quantiles
from tests.support.andon import Andon, Listener, listening
from tests.support.llama_stand_in import stand_in
from tests.support.sample import sample_manual

_ASSETS = [f"plant/m{number}" for number in range(10)]
_LONG_S = 600.0
_PAUSE_S = 0.04
_CODES = [f"E{number:03}" for number in range(1, 29)]


def measure() -> dict[str, Any]:
    """Return how fast prepared answers come, and how long their making took in all."""
    with tempfile.TemporaryDirectory() as name, stand_in() as model:
        config = (
            f"llm_bridge: {{url: '{model.url}', token_timeout_s: {_LONG_S}}}\n"
            "orchestrator: {night: {after_s: 0.2, share: 1.0}}\nstatus_every_s: 0.5\n"
        )
        with Andon(Path(name), config) as andon:
            manual = sample_manual(Path(name), "pdf")
            assets = [word for asset in _ASSETS for word in ("--asset", asset)]
            done = andon.cli("add", str(manual), *assets)
            if done.returncode:
                raise RuntimeError(done.stderr)
            began = time.monotonic()
            facts = _prepared(andon)
            took = time.monotonic() - began
            model.takes_s = _LONG_S
            with listening(andon.port, *(f"andon/answer/{asset}" for asset in _ASSETS)) as client:
                times, prepared = _faults(client)
    return {
        "codes_prepared": facts["prepared"],
        "model_asked": len(model.prompts),
        "preparing_s": round(took, 1),
        "faults": len(times),
        "with_prepared_answer": prepared,
        "ms": quantiles(times),
    }


def _prepared(andon: Andon) -> dict[str, Any]:
    while True:
        facts: dict[str, Any] = andon.json_status()["orchestrator"]["facts"]
        if facts.get("prepared") and not facts["to_prepare"]:
            return facts
        time.sleep(0.5)


def _faults(client: Listener) -> tuple[list[float], int]:
    """Publish one fault after the other; return times to the final answer, ms."""
    times, prepared = [], 0
    for code in _CODES:
        for asset in _ASSETS:
            began = time.perf_counter()
            client.publish(f"{asset}/fault", {"code": code, "text": "drive tripped"})
            message = client.next(
                lambda m, asset=asset, code=code: (
                    m.topic.endswith(asset)
                    and json.loads(m.payload)["code"] == code
                    and json.loads(m.payload)["stage"] == "final"
                )
            )
            times.append((time.perf_counter() - began) * 1000)
            prepared += json.loads(message.payload)["prepared"]
            time.sleep(_PAUSE_S)
    return times, prepared
