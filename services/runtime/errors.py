"""Errors named by what the caller does next.

Each carries the operation that failed and, where there is one, a hint that tells a person
what to do.
"""

from __future__ import annotations


class AndonError(Exception):
    """Base of every error raised on purpose."""

    kind = "error"

    def __init__(self, operation: str, reason: str, hint: str = "") -> None:
        self.operation = operation
        self.reason = reason
        self.hint = hint
        super().__init__(operation, reason, hint)

    def __str__(self) -> str:
        text = f"{self.operation}: {self.reason}"
        return f"{text} ({self.hint})" if self.hint else text


class Retryable(AndonError):
    """The same call may succeed later: the other side is away, busy or slow."""

    kind = "retryable"


class Unavailable(Retryable):
    """Nobody listens on the other side."""

    kind = "unavailable"


class Ended(Unavailable):
    """Who was asked ended before it replied; it may be started again at once."""


class DeadlineExceeded(Retryable):
    """The answer did not come in the time the caller gave."""

    kind = "deadline"


class Rejected(AndonError):
    """The input is wrong; the same call will fail again."""

    kind = "rejected"


class Fatal(AndonError):
    """The process cannot go on: wrong configuration, damaged or foreign files."""

    kind = "fatal"


class Damaged(Fatal):
    """A file is damaged: the process ends, and its next start sets the file aside and goes on.

    To the other side of a request it is one to repeat.
    """

    kind = "retryable"


KINDS: dict[str, type[AndonError]] = {
    error.kind: error for error in (Retryable, Unavailable, DeadlineExceeded, Rejected, Fatal)
}
"""Error kinds as they travel in an rpc reply, see `schemas.errors.Problem`."""


def leaves(error: Exception) -> list[Exception]:
    """Return the errors a group holds, however deep; an error that is no group itself."""
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for member in error.exceptions for leaf in leaves(member)]
