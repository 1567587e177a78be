"""HTML and Markdown to elements, by unstructured's partitioners."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.ingest.partition import encoding, offline, spans
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{2,20})", re.IGNORECASE)
_BOX = re.compile(
    r"</?(?:div|span|section|article|main|center|blockquote|font|b|i|u|em|strong|big|small)"
    r"(?:\s[^<>]*)?>",
    re.IGNORECASE,
)
_DEEPEST = 100
"""Boxes in each other that are kept: as many lists and tables may be in between."""
MAX_SIZE = 64 * 2**20
"""Bytes of a file beyond which it is no page."""


def read_html(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a web page.

    Raises:
        Rejected: it cannot be parsed.
    """
    content = _content(path)
    match = _TITLE.search(content[:65536])
    title = " ".join(match[1].split()) if match else ""
    found = _web(content)
    progress(1, 1)
    return Document(found, title)


def elements(data: bytes) -> list[Any]:
    """Return the elements of a web page that is part of something else.

    Raises:
        Rejected: it cannot be parsed.
    """
    return _web(_decoded(data))


def _web(content: str) -> list[Any]:
    offline.prepare_partitioner()
    from unstructured.partition.html import partition_html  # noqa: PLC0415

    return _parsed(partition_html, content, "web page")


def read_markdown(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a Markdown text.

    Raises:
        Rejected: it cannot be parsed.
    """
    offline.prepare_partitioner()
    from unstructured.partition.md import partition_md  # noqa: PLC0415

    from services.ingest.partition import markdown  # noqa: PLC0415  (heavy)

    partition = functools.partial(partition_md, extensions=markdown.extensions())
    content = markdown.parted(markdown.collapsed(_content(path)))
    elements = _parsed(partition, content, "Markdown text")
    first = next((e for e in elements if e.category == "Title"), None)
    progress(1, 1)
    return Document(elements, first.text if first and first.metadata.category_depth == 0 else "")


def _content(path: Path) -> str:
    if path.stat().st_size > MAX_SIZE:
        raise Rejected("read text", f"the file is larger than {MAX_SIZE // 2**20} MB")
    return _decoded(path.read_bytes())


def _decoded(data: bytes) -> str:
    named = _CHARSET.search(data[:4096])
    if named:
        try:
            return data.decode(named[1].decode())
        except (LookupError, UnicodeDecodeError):
            pass
    return encoding.decode(data)


def _parsed(partition: Callable[..., list[Any]], content: str, what: str) -> list[Any]:
    if not content.strip():
        return []
    try:
        found = partition(text=spans.mark(_flat(content)), languages=offline.NO_DETECTION)
    except MemoryError:
        raise
    except Exception as error:
        raise Rejected(
            f"read {what}", f"the {what} cannot be parsed ({type(error).__name__})"
        ) from error
    return spans.restore(found)


def _flat(content: str) -> str:
    """Return HTML without the boxes that are nested deeper than a parser goes.

    Its parser leaves out all that is deeper than 255 boxes, and all that follows.
    """
    depth = 0

    def kept(box: re.Match[str]) -> str:
        nonlocal depth
        closes = box[0].startswith("</")
        deep = depth > _DEEPEST if closes else depth >= _DEEPEST
        depth = max(0, depth - 1) if closes else depth + 1
        return " " if deep else box[0]

    return _BOX.sub(kept, content)
