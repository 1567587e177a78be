"""Settings for all tests."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

from tests.support.knowing import Knowing

# A busy machine is no mistake of the code's: no test asserts a wall-clock time.
settings.register_profile("andon", deadline=None)
settings.load_profile("andon")

# Collecting thousands of tests makes nothing but what stays: looking through it again and again
# takes a quarter of that time, and whatever a test leaves behind would go later.
gc.disable()


@pytest.fixture(scope="session")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Knowing:
    """Data of an Andon that has taken in the sample manual."""
    base = tmp_path_factory.getbasetemp()
    return Knowing((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "knowing")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()
