"""One installed box for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import installed
from tests.support.box import Box
from tests.support.plant_of_box import PlantOfBox

# A machine that is busy with other things needs a multiple of the time.
_QUICK = "[Service]\nWatchdogSec=15\n"
_SOON = """\
[Service]
ExecStart=
ExecStart=/bin/sleep 3
ExecStart=/bin/systemctl reset-failed %i.service
ExecStart=/bin/systemctl start --no-block %i.service
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A running Andon; what takes half a minute by itself takes seconds there."""
    layers = installed.layers()
    # Not in /tmp, which may be a memory's file system.
    with Box(layers, tmp_path_factory.mktemp("box")) as one:
        for unit in ("orchestrator", "retriever", "llm-bridge", "ingest", "llama"):
            _drop_in(one.root, f"andon-{unit}.service", _QUICK)
        _drop_in(one.root, "andon-again@.service", _SOON)
        one.boot()
        yield one


@pytest.fixture(scope="module")
def plant(box: Box) -> PlantOfBox:
    """Who speaks to the box's broker from outside."""
    return PlantOfBox(box)


def _drop_in(root: Path, unit: str, text: str) -> None:
    path = root / "etc/systemd/system" / f"{unit}.d" / "60-test.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
