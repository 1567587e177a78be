"""`make bench`: every figure in one run, printed and written to build/bench.json."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import (
    behind,
    box,
    bridge,
    bus,
    flood,
    manuals,
    night,
    quality,
    queue,
    reading,
    retrieval,
    size,
    system,
    wear,
)
from tests.support.mosquitto import Mosquitto

OUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def _bus() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder)) as broker:
        return asyncio.run(bus.measure(broker.port, 2000))


def _retrieval() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return retrieval.measure(Path(folder))


SECTIONS: dict[str, Callable[[], Any]] = {
    "bus": _bus,
    "system": lambda: asyncio.run(system.measure()),
    "wear": lambda: asyncio.run(wear.measure()),
    "retrieval": _retrieval,
    "behind": behind.measure,
    "flood": flood.measure,
    "night": night.measure,
    "queue": lambda: asyncio.run(queue.measure()),
    "bridge": bridge.measure,
    "reading": reading.measure,
    "manuals": manuals.measure,
    "quality": quality.measure,
    "sets": quality.sets,
    "size": size.measure,
    "box": box.measure,
}


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def show(value: Any, indent: int = 2) -> None:
    """Print nested figures, one a line."""
    for key, inner in value.items():
        if isinstance(inner, dict) and not all(isinstance(v, int | float) for v in inner.values()):
            print(f"{' ' * indent}{key}:")
            show(inner, indent + 2)
        else:
            text = (
                "  ".join(f"{k} {v}" for k, v in inner.items())
                if isinstance(inner, dict)
                else inner
            )
            print(f"{' ' * indent}{key}: {text}")


def main() -> int:
    """Measure the sections asked for, all by default."""
    parser = argparse.ArgumentParser(description="Measure Andon.")
    parser.add_argument("section", nargs="*", choices=[*SECTIONS, []], help="default: all")
    chosen = parser.parse_args().section or list(SECTIONS)
    results: dict[str, Any] = {"machine": machine()}
    for name in chosen:
        print(f"\n{name}")
        results[name] = SECTIONS[name]()
        show(results[name])
        # After each: a later section that fails, an hour on, must not take these along.
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten to {OUT.relative_to(OUT.parents[1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
