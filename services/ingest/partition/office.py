"""DOCX to elements, by unstructured's partitioner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from services.ingest.partition import archive, offline
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected


def read(path: Path, progress: Callable[[int, int | None], None]) -> Document:
    """Read a Word document.

    Raises:
        Rejected: it is damaged, or unpacks to more than any manual has.
    """
    archive.check(path, "Word document")
    offline.prepare_partitioner()
    import docx  # noqa: PLC0415  (after the replacements, and only in the child)
    from unstructured.documents.elements import Footer, Header, PageBreak  # noqa: PLC0415
    from unstructured.partition.docx import partition_docx  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            elements = partition_docx(file=file, languages=offline.NO_DETECTION)
        with path.open("rb") as file:
            title = (docx.Document(file).core_properties.title or "").strip()
    except MemoryError:
        raise
    except Exception as error:
        raise Rejected(
            "read Word document",
            f"the document is damaged ({type(error).__name__})",
            "open it in a word processor, save it anew and add that",
        ) from error
    numbers = [e.metadata.page_number for e in elements if e.metadata.page_number]
    pages = max(numbers) if numbers and max(numbers) > 1 else None
    kept = [e for e in elements if not isinstance(e, Header | Footer | PageBreak)]
    if pages is None:
        # Without page breaks in the file its numbers say nothing.
        for element in kept:
            element.metadata.page_number = None
    progress(pages or 1, pages or 1)
    return Document(kept, title, pages)
