"""kill -9 while another embedding model takes over: nothing is mixed, nothing is made twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.config import Embedding
from tests.integration.test_model_change import (
    BUNDLED,
    MANUAL,
    are_of,
    asked_by,
    changed,
    kept,
    near,
    ref,
)
from tests.support.second_model import second_model

pytestmark = pytest.mark.faults

LINES = (1, 4, 7)
"""Groups that are kept when it is killed, time after time."""


def killed(folder: Path, model: Path, lines: int) -> list[str]:
    """Run a change and kill it after so many lines of progress; returns them."""
    command = [sys.executable, "-m", "tests.support.model_change", str(folder), str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line.strip())
                if len(said) > lines or said[-1] == "done":
                    break
            return said
        finally:
            process.kill()


async def test_a_change_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    new = second_model(tmp_path)
    async with asked_by(tmp_path) as asker:
        await asker.add(ref(), MANUAL)
    before = 0
    for lines in LINES:
        said = killed(tmp_path, new, lines)
        if said[-1] == "done":
            break
        made = kept(tmp_path, "coming")
        assert len(made) >= before
        before = len(made)
        assert are_of(kept(tmp_path), BUNDLED)
        assert are_of(made, new) if made else True
        assert len(kept(tmp_path)) == len(MANUAL)
    assert before  # it was killed in the middle at least once
    assert killed(tmp_path, new, 10**6)[-1] == "done"
    assert are_of(kept(tmp_path), new)
    assert len(kept(tmp_path)) == len(MANUAL)
    async with asked_by(tmp_path, Embedding(model=str(new), threads=1)) as asker:
        await changed(asker, "second")
        assert await near(asker, MANUAL[2])
    assert not kept(tmp_path, "coming")
