"""Elements cut where an entry, or a part of one, begins in the middle of them (pure)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from unstructured.documents.elements import NarrativeText

from services.ingest import faults, parameters, tables


def cut(elements: Sequence[Any]) -> list[Any]:
    """Cut elements of several lines where a fault's heading or a label begins a line."""
    result = []
    for element in elements:
        lines = element.text.split("\n")
        if is_table(element):
            result.extend(_parameter_rows(element) or [element])
            continue
        if len(lines) < 2:
            result.append(element)
            continue
        groups: list[list[str]] = [[lines[0]]]
        for line in lines[1:]:
            above = groups[-1][-1]
            if faults.begins(line) or faults.begins(above) or faults.heads(above, line):
                groups.append([line])
            else:
                groups[-1].append(line)
        if len(groups) == 1:
            result.append(element)
            continue
        for group in groups:
            part = copy.copy(element)
            part.text = "\n".join(group)
            result.append(part)
    return [element for element in result if element.text.strip()]


def _parameter_rows(element: Any) -> list[Any]:
    """Return the rows of a table as lines of text, where each heads a parameter; else nothing.

    Parameters that are described together may be printed one below the other like a table.
    """
    result: list[Any] = []
    pages = getattr(element.metadata, "row_pages", None) or []
    for table in tables.understand(tables.from_html(element.metadata.text_as_html)):
        for row in table.rows:
            text = " ".join(filter(None, row.cells))
            head = parameters.heading(text)
            if table.header or head is None or not head.line.parts:
                return []
            part = NarrativeText(text=text, metadata=copy.copy(element.metadata))
            part.metadata.text_as_html = None
            page = pages[len(result)] if len(result) < len(pages) else None
            part.metadata.page_number = page or element.metadata.page_number
            result.append(part)
    return result


def is_table(element: Any) -> bool:
    """Return whether an element is a table with its rows."""
    return bool(element.category == "Table" and element.metadata.text_as_html)
