"""What several parts of config.yaml have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
"""The models that come along."""
