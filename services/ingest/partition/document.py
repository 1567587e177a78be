"""What every reader returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Document:
    """A file as read."""

    elements: list[Any]
    """unstructured's elements in reading order; metadata: page_number, category_depth, and own
    fields page_label, row_pages and row_groups (one a row of a table)."""
    title: str = ""
    """Title from the file, empty where it has none worth showing."""
    pages: int | None = None
    """Pages in all; None where the format has none."""
    labels: dict[int, str] = field(default_factory=dict)
    """Printed page numbers by physical page."""
    note: str = ""
    """What people should know of pages that could not be read, empty when all were."""
