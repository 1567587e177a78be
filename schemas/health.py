"""How the processes are."""

from __future__ import annotations

from typing import Literal

import msgspec

SERVICES = ("orchestrator", "retriever", "llm_bridge", "ingest")
"""The processes of a full node."""


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of a process: retained on `andon/status/<service>`; offline is its will."""

    service: str
    """Name."""
    state: Literal["starting", "ready", "degraded", "stopping", "offline"]
    """`degraded` works with something missing, see `reason`."""
    reason: str = ""
    """What is missing and what to do."""
    memory_mb: float = 0.0
    """Proportional set size, MiB."""
    budget_mb: float = 0.0
    """What it should stay under, MiB."""
    pid: int = 0
    """Process id."""
    version: str = ""
    """Version of Andon."""
    since: str = ""
    """When the process started, RFC 3339 UTC."""
    facts: dict[str, str | int | float | bool] = {}
    """Figures of the service's own."""
