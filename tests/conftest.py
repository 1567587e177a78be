"""Settings for all tests."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.knowing import Knowing

# A busy machine is no mistake of the code's: no test asserts a wall-clock time.
settings.register_profile("andon", deadline=None)
settings.load_profile("andon")

_LAYERS = ("faults", "integration", "unit", "contract")
_APART = 10
"""Files between two with a box."""

# Collecting thousands of tests makes nothing but what stays: looking through it again and again
# takes a quarter of that time, and whatever a test leaves behind would go later.
gc.disable()


@pytest.fixture(scope="session")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Knowing:
    """Data of an Andon that has taken in the sample manual."""
    base = tmp_path_factory.getbasetemp()
    return Knowing((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "knowing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits longest begins first, so that it keeps no worker when the others are done.

    The boxes begin apart from each other: a start takes the whole machine.
    """
    files: dict[str, list[Path]] = {}
    for path in dict.fromkeys(item.path for item in items):
        files.setdefault(path.parent.name, []).append(path)
    others = [path for layer in _LAYERS for path in files.get(layer, [])]
    turn = {path: float(n) for n, path in enumerate(others)}
    turn |= {path: _APART * n - 0.5 for n, path in enumerate(files.get("system", []))}
    items.sort(key=lambda item: turn[item.path])


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()
