"""What a question would have to wait for inside the process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from services.retriever.pauses import SWITCH_S, keep_short

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    switch = sys.getswitchinterval()
    yield
    sys.setswitchinterval(switch)
    gc.unfreeze()


def test_threads_hand_over_soon_and_what_is_loaded_is_not_looked_at_again() -> None:
    loaded = [[] for _ in range(1000)]
    keep_short()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    assert gc.get_freeze_count() > len(loaded)
    assert not any(one is loaded for one in gc.get_objects())
