"""Server-sent events, read from bytes as they come (pure)."""

from __future__ import annotations

LIMIT = 1 << 20
"""A line longer than this is no event of ours, bytes."""


class Events:
    """Cuts a byte stream into the data of its events.

    llama-server writes one `data:` line an event; several in one are joined as the standard says
    (WHATWG HTML, section 9.2.6). Comments, which it sends as signs of life, and other fields are
    passed over.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events this chunk completes.

        Raises:
            ValueError: a line over `LIMIT`.
        """
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        if len(self._buffer) > LIMIT:
            raise ValueError("an endless line")
        events = []
        for line in lines:
            text = line.removesuffix(b"\r")
            if not text and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
            elif text.startswith((b"data:", b"error:")):  # `error:` is older llama-servers' own
                value = text.partition(b":")[2].removeprefix(b" ")
                self._data.append(b'{"error":%b}' % value if text.startswith(b"e") else value)
        return events

    @property
    def pending(self) -> bool:
        """Whether an event has begun and not ended."""
        return bool(self._data or self._buffer.strip())
