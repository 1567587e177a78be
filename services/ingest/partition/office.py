"""DOCX to elements, by unstructured's partitioner."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
    from unstructured.documents.elements import Footer, Header, PageBreak  # noqa: PLC0415
    from unstructured.partition.docx import DocxPartitionerOptions  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            options = DocxPartitionerOptions.load(
                file=file, file_path=None, include_page_breaks=True, infer_table_structure=True
            )
            elements = list(_partitioner().iter_document_elements(options))
            title = (options.document.core_properties.title or "").strip()
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


def _partitioner() -> Any:
    """Return unstructured's partitioner, made faster; what it returns stays the same but for bold.

    It lists what is bold or italic, which nobody here uses, and asks python-docx for the parts of
    each paragraph and cell by XPath, which that compiles anew each time: together 40 % of its time.
    """
    from docx.oxml import ns, xmlchemy  # noqa: PLC0415  (only in the child)
    from lxml import etree  # noqa: PLC0415
    from unstructured.partition import docx  # noqa: PLC0415

    @functools.lru_cache(maxsize=256)
    def compiled(expression: str) -> Any:
        return etree.XPath(expression, namespaces=ns.nsmap)

    def xpath(element: Any, expression: str) -> Any:
        return compiled(expression)(element)

    class Partitioner(docx._DocxPartitioner):  # type: ignore[misc]  # noqa: SLF001
        def _iter_paragraph_emphasis(self, _paragraph: Any) -> Iterator[dict[str, str]]:
            return iter(())

        def _iter_table_emphasis(self, _table: Any) -> Iterator[dict[str, str]]:
            return iter(())

    xmlchemy.BaseOxmlElement.xpath = xpath
    return Partitioner
