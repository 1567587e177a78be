"""XML of documents, parsed without entities, networks and depths without end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from services.runtime.errors import Rejected

MAX_BYTES = 128 * 2**20
"""Size of a part beyond which its tree would not fit the reader's memory."""


def parse(data: bytes) -> Any:
    """Return the root element.

    Raises:
        Rejected: it is too large, is no XML, or defines entities of its own.
    """
    if len(data) > MAX_BYTES:
        raise Rejected("read XML", f"a part of it has {len(data) // 2**20} MB")
    if b"<!ENTITY" in data[:65536] or "<!ENTITY".encode("utf-16-le") in data[:65536]:
        raise Rejected("read XML", "it defines entities of its own", "the file was made to do harm")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, recover=False, load_dtd=False
    )
    root = etree.fromstring(data, parser)
    if root is None:
        raise Rejected("read XML", "a part of it is empty")
    return root


def name(element: Any) -> str:
    """Return an element's name without its namespace; empty for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def walk(root: Any, wanted: str) -> Iterator[Any]:
    """Yield the elements of a name, whatever their namespace."""
    return (element for element in root.iter() if name(element) == wanted)


def texts(root: Any, wanted: str) -> Iterator[str]:
    """Yield the texts of the elements of a name."""
    return ("".join(element.itertext()) for element in walk(root, wanted))


def attribute(element: Any, wanted: str) -> str:
    """Return an attribute, whatever its namespace; empty without it."""
    for key, value in element.attrib.items():
        if key == wanted or key.endswith("}" + wanted):
            return str(value)
    return ""
