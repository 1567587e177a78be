"""Real manuals and questions, which lie beside the checkout and never in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared_data() -> Path | None:
    """The folder, $ANDON_DATA's or the first `shared/data` above the checkout; None if absent."""
    if named := os.environ.get("ANDON_DATA"):
        return Path(named) if Path(named).is_dir() else None
    folders = (parent / "shared" / "data" for parent in ROOT.parents)
    return next((folder for folder in folders if folder.is_dir()), None)


def needed_data() -> Path:
    """The folder; the test is skipped where there is none."""
    return shared_data() or pytest.skip(
        "no folder shared/data and no ANDON_DATA: the real manuals are not here"
    )
