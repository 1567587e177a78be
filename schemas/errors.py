"""What travels instead of a reply when a request failed."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request got no answer; see services.runtime.errors for the kinds."""

    kind: str
    """What the caller does next: retryable, unavailable, deadline, rejected or fatal."""
    operation: str
    """What was being done, for a person: `search`, `read manual.pdf`."""
    reason: str
    """What went wrong."""
    hint: str = ""
    """What to do about it; empty where there is nothing to do."""


class RejectedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A message from outside that could not be used, as kept in the ledger."""

    topic: str
    """Topic it came on."""
    reason: str
    """Why it was not used."""
    head: str
    """The first 256 bytes, undecodable ones escaped."""
    size: int
    """Payload size in bytes."""
    received: str
    """When, RFC 3339 UTC."""
