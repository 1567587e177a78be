"""The sample manual as DOCX, by python-docx: real headings, real tables, nothing drawn."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import content as c
from docx import Document
from docx.enum.section import WD_SECTION
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

Row = tuple[tuple[str, ...], ...]
"""A table row: for each cell its paragraphs."""

TEXT_WIDTH_MM = 174
BLUE = RGBColor(0x12, 0x45, 0x6B)
WRITTEN = datetime(2024, 3, 1, tzinfo=UTC)
"""The date of edition 04: fixed, so that each run gives the same bytes."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date a zip entry can carry."""


def _child(parent: Any, tag: str, **attributes: str) -> Any:
    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    parent.append(element)
    return element


def _field(paragraph: Any, code: str, shown: str) -> None:
    """A field that Word computes; `shown` stands there until it does."""
    for kind in ("begin", "separate", "end"):
        _child(paragraph.add_run()._r, "w:fldChar", fldCharType=kind)  # noqa: SLF001
        if kind == "begin":
            text = _child(paragraph.add_run()._r, "w:instrText")  # noqa: SLF001
            text.set(qn("xml:space"), "preserve")
            text.text = f" {code} "
        if kind == "separate":
            paragraph.add_run(shown)


def _east_asian_font(style: Any, name: str) -> None:
    style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), name)


class _Manual:
    """Builds the document; one language's part at a time."""

    def __init__(self) -> None:
        self.doc = Document()
        self.pick = 0
        self.chapter = self.section = self.table = 0
        self._set_styles()
        self._set_properties()

    def _set_styles(self) -> None:
        styles = self.doc.styles
        for name, size in (("Normal", 10), ("Title", 26), ("Heading 1", 16), ("Heading 2", 12)):
            style = styles[name]
            style.font.name, style.font.size = "Arial", Pt(size)
            _east_asian_font(style, "SimSun" if name == "Normal" else "SimHei")
            if name != "Normal":
                style.font.color.rgb = BLUE
                # The template's headings name theme fonts, which would win over ours.
                fonts = style.element.rPr.rFonts
                for key in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
                    fonts.attrib.pop(qn(f"w:{key}"), None)
        styles["Normal"].paragraph_format.space_after = Pt(4)
        styles["Heading 1"].paragraph_format.page_break_before = True
        page = self.doc.sections[0]
        page.page_width, page.page_height = Mm(210), Mm(297)
        page.left_margin = page.right_margin = Mm(18)
        page.top_margin = page.bottom_margin = Mm(20)

    def _set_properties(self) -> None:
        core = self.doc.core_properties
        core.title, core.author = f"{c.TITLE.en}: User manual", c.MAKER
        core.subject = f"{c.DOCUMENT_NO}, {c.SUBTITLE.en}"
        core.created = core.modified = WRITTEN
        core.last_modified_by, core.revision, core.version = c.MAKER, 1, "04"
        core.comments, core.language = "", "en, zh"

    def words(self, text: c.Cell) -> str:
        """The words of the present language."""
        return text if isinstance(text, str) else text[self.pick]

    def running_lines(self, section: Any) -> None:
        """Header and footer of a part."""
        section.header.is_linked_to_previous = section.footer.is_linked_to_previous = False
        section.header.paragraphs[0].text = self.words(c.TITLE)
        foot = section.footer.paragraphs[0]
        before, after = self.words(c.PAGE).format(doc=c.DOCUMENT_NO, n="\0", total="\1").split("\0")
        between, end = after.split("\1")
        foot.add_run(before)
        _field(foot, "PAGE", "1")
        foot.add_run(between)
        _field(foot, "NUMPAGES", "1")
        foot.add_run(end)

    def front(self) -> None:
        """Title page and a table of contents that Word fills with page numbers."""
        self.running_lines(self.doc.sections[0])
        for pick in (0, 1):
            self.doc.add_paragraph(c.TITLE[pick], style="Title")
            for text in (c.SUBTITLE, c.RANGE, c.EDITION):
                self.doc.add_paragraph(text[pick])
        self.doc.add_paragraph(c.DOCUMENT_NO)
        self.doc.add_page_break()
        self.doc.add_paragraph(f"{c.CONTENTS.en} / {c.CONTENTS.zh}", style="Subtitle")
        chapters = [
            f"{n}  {chapter.title[pick]}"
            for pick in (0, 1)
            for n, chapter in enumerate(c.CHAPTERS, 1)
        ]
        _field(self.doc.add_paragraph(), r'TOC \o "1-1" \h \z', "\n".join(chapters))

    def part(self, pick: int) -> None:
        """All chapters in one language, as a section with its own header and footer."""
        self.pick, self.chapter = pick, 0
        self.running_lines(self.doc.add_section(WD_SECTION.NEW_PAGE))
        self.doc.add_paragraph(c.PARTS[pick], style="Title")
        for chapter in c.CHAPTERS:
            self.chapter, self.section, self.table = self.chapter + 1, 0, 0
            self.doc.add_heading(f"{self.chapter}  {self.words(chapter.title)}", 1)
            for block in chapter.blocks:
                self.block(block)

    def block(self, block: c.Block) -> None:
        """Append one block of content."""
        match block:
            case c.Para(text):
                self.doc.add_paragraph(self.words(text))
            case c.Section(title):
                self.section += 1
                self.doc.add_heading(f"{self.chapter}.{self.section}  {self.words(title)}", 2)
            case c.Items(items, steps):
                for n, item in enumerate(items, 1):
                    # Steps carry their number as text: Word would count on through the document.
                    style = "List" if steps else "List Bullet"
                    number = f"{n}. " if steps else ""
                    self.doc.add_paragraph(number + self.words(item), style=style)
            case c.Notice(level, text):
                self.labelled(f"{self.words(c.SIGNALS[level])}  ", text)
            case c.Grid(title, header, rows, widths):
                cells: list[Row] = [tuple((self.words(cell),) for cell in row) for row in rows]
                self.ruled(title, header, cells, widths)
            case c.FaultTable():
                self.fault_table()
            case c.FaultEntries():
                self.fault_entries()

    def labelled(self, label: str, text: c.Text) -> None:
        """A paragraph with a bold label before it."""
        paragraph = self.doc.add_paragraph()
        paragraph.add_run(label).bold = True
        paragraph.add_run(self.words(text))

    def ruled(
        self,
        title: c.Text,
        header: tuple[c.Cell, ...],
        rows: list[Row],
        widths: tuple[float, ...],
    ) -> None:
        """A numbered caption and a table; each cell is a tuple of paragraphs."""
        self.table += 1
        word = ("Table", "表")[self.pick]
        caption = self.doc.add_paragraph(
            f"{word} {self.chapter}-{self.table}  {self.words(title)}", style="Caption"
        )
        caption.paragraph_format.keep_with_next = True
        table = self.doc.add_table(rows=0, cols=len(header), style="Table Grid")
        table.autofit = False
        for n, row in enumerate([tuple((self.words(cell),) for cell in header), *rows]):
            made = table.add_row()
            row_properties = made._tr.get_or_add_trPr()  # noqa: SLF001
            _child(row_properties, "w:cantSplit")
            if n == 0:
                _child(row_properties, "w:tblHeader")
            for cell, lines, share in zip(made.cells, row, widths, strict=True):
                cell.width = Mm(TEXT_WIDTH_MM * share)
                for k, line in enumerate(lines):
                    paragraph = cell.paragraphs[0] if k == 0 else cell.add_paragraph()
                    paragraph.paragraph_format.space_after = Pt(0)
                    run = paragraph.add_run(line)
                    run.font.size, run.bold = Pt(8.5), n == 0
        self.doc.add_paragraph()

    def fault_table(self) -> None:
        """The table of all fault codes."""
        rows: list[Row] = []
        for fault in c.FAULTS:
            name, causes, remedies = (
                (fault.name_en, fault.causes_en, fault.remedies_en),
                (fault.name_zh, fault.causes_zh, fault.remedies_zh),
            )[self.pick]
            rows.append(((fault.code,), (name,), _numbered(causes), _numbered(remedies)))
        self.ruled(c.FAULT_TITLE, c.FAULT_HEADER, rows, c.FAULT_WIDTHS)

    def fault_entries(self) -> None:
        """The long descriptions, each a heading and three labelled paragraphs."""
        names = {fault.code: c.Text(fault.name_en, fault.name_zh) for fault in c.FAULTS}
        colon = (": ", "：")[self.pick]
        for entry in c.ENTRIES:
            self.doc.add_heading(f"{entry.code} {self.words(names[entry.code])}", 2)
            texts = (entry.cause, entry.remedy, entry.reaction)
            for label, text in zip(c.ENTRY_LABELS, texts, strict=True):
                self.labelled(self.words(label) + colon, text)


def _numbered(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) == 1:
        return texts
    return tuple(f"{n}. {text}" for n, text in enumerate(texts, 1))


def _without_times(data: bytes) -> bytes:
    """The same zip with every entry dated ZIP_DATE."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for item in source.infolist():
            entry = zipfile.ZipInfo(item.filename, ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read(item))
    return out.getvalue()


def write_docx(path: Path) -> None:
    """Write the manual to `path`.

    Raises:
        OSError: the file cannot be written.
    """
    manual = _Manual()
    manual.front()
    manual.part(0)
    manual.part(1)
    buffer = io.BytesIO()
    manual.doc.save(buffer)
    path.write_bytes(_without_times(buffer.getvalue()))
