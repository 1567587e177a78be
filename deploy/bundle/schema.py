"""Which version of each database's schema this Andon makes."""

from __future__ import annotations

from services.ingest import library
from services.orchestrator import ledger
from services.retriever import statements


def versions() -> dict[str, int]:
    """Return the number of migrations by the database's name."""
    return {
        "ledger": len(ledger.MIGRATIONS),
        "corpus": len(statements.MIGRATIONS),
        "library": len(library.MIGRATIONS),
    }
