"""PPTX to elements, by unstructured's partitioner: a slide is a page, its title a section."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.ingest.partition import archive, offline
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a presentation, the speaker's notes as well.

    Raises:
        Rejected: it is damaged, or unpacks to more than any manual has.
    """
    archive.check(path, "presentation")
    offline.prepare_partitioner()
    import pptx  # noqa: PLC0415  (after the replacements, and only in the child)
    from unstructured.documents.elements import (  # noqa: PLC0415
        ElementMetadata,
        ListItem,
        NarrativeText,
        PageBreak,
        Title,
    )
    from unstructured.partition.pptx import partition_pptx  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            shown = pptx.Presentation(file)
            pages = len(shown.slides)
            title = str(shown.core_properties.title or "").strip()
            heads = [_title(slide) for slide in shown.slides]
            notes = [_notes(slide) for slide in shown.slides]
            merged = [dict(_merged(slide.shapes)) for slide in shown.slides]
        progress(0, pages)
        with path.open("rb") as file:
            elements = partition_pptx(
                file=file, include_slide_notes=False, languages=offline.NO_DETECTION
            )
    except (MemoryError, RecursionError, Rejected):
        raise
    except Exception as error:
        raise Rejected(
            "read presentation",
            f"the presentation is damaged ({type(error).__name__})",
            "open it in the program it comes from, save it anew and add that",
        ) from error
    kept: list[Any] = []
    for number in range(1, pages + 1):
        place = ElementMetadata(page_number=number, category_depth=0)
        head = heads[number - 1]
        if head:
            kept.append(Title(text=head, metadata=place))
        for element in elements:
            words = " ".join(element.text.split())
            if element.metadata.page_number != number or isinstance(element, PageBreak):
                continue
            # It takes every short line for a title; a slide has one, and it stands on top.
            if not isinstance(element, Title):
                table = element.metadata.text_as_html
                element.metadata.text_as_html = table and merged[number - 1].get(words, table)
                kept.append(element)
            elif words != head:
                kept.append(ListItem(text=element.text, metadata=element.metadata))
        if notes[number - 1]:
            place = ElementMetadata(page_number=number)
            kept.append(NarrativeText(text=notes[number - 1], metadata=place))
    progress(pages, pages)
    # The template's own title says nothing.
    return Document(kept, "" if title == "PowerPoint Presentation" else title, pages)


def _title(slide: Any) -> str:
    shape = slide.shapes.title
    return " ".join(shape.text_frame.text.split()) if shape is not None else ""


def _notes(slide: Any) -> str:
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    return str(frame.text).strip() if frame is not None else ""


def _merged(shapes: Any) -> Iterator[tuple[str, str]]:
    """Yield the words of each table with merged cells, and its HTML with what they reach over."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _merged(shape.shapes)
        if not getattr(shape, "has_table", False):
            continue
        cells = [cell for row in shape.table.rows for cell in row.cells]
        if any(cell.is_merge_origin for cell in cells):
            words = " ".join(" ".join(cell.text.split()) for cell in cells if cell.text.strip())
            yield words, f"<table>{''.join(map(_row, shape.table.rows))}</table>"


def _row(row: Any) -> str:
    return f"<tr>{''.join(_cell(cell) for cell in row.cells if not cell.is_spanned)}</tr>"


def _cell(cell: Any) -> str:
    spans = ""
    if cell.is_merge_origin:
        spans = f' rowspan="{cell.span_height}" colspan="{cell.span_width}"'
    return f"<td{spans}>{'<br/>'.join(html.escape(cell.text).splitlines())}</td>"
