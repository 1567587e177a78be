"""What a server speaks that gave no answer: it would not say so by itself.

llama-server without TLS waits for the end of a line that no TLS greeting has, and one with TLS
closes the connection of who does not greet.
"""

from __future__ import annotations

import asyncio
import ssl

_WITHIN_S = 1.0
"""A server that works says something by then."""


async def speaks_tls(host: str, port: int) -> bool:
    """Return whether a server greets in TLS, be its certificate as it may: nothing is told it."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_WITHIN_S):
            _, writer = await asyncio.open_connection(host, port, ssl=anybody)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


async def speaks_http(host: str, port: int) -> bool:
    """Return whether a server answers in HTTP without TLS."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /health HTTP/1.0\r\n\r\n")
                return await reader.read(5) == b"HTTP/"
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False
