"""The same small alarm list in every format, and scans of it."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import openpyxl
import pptx
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

from tests.support import ole
from tests.support.ingest import Drawn

ROWS = [
    ("Code", "Cause", "Remedy"),
    ("E001", "Mains low", "Check the supply"),
    ("E002", "Brake hot", "Wait, then reset"),
    ("E003", "过温", "检查风扇"),
]
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"


def xlsx(path: Path) -> Path:
    """A workbook: a caption, the list, a second table, dates, merged cells, a hidden sheet."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = "Alarms"
    sheet.append(["Alarm list of FD40"])
    for row in ROWS:
        sheet.append(row)
    sheet.append([])
    sheet.append(["Part", "Spare", "Since"])
    sheet.append(["Fan", 7, dt.date(2024, 3, 5)])
    sheet.append([None, 8, dt.date(2024, 3, 6)])
    sheet["B8"].number_format = sheet["B9"].number_format = '"P-"000'
    sheet["C8"].number_format = sheet["C9"].number_format = "yyyy-mm-dd"
    sheet.merge_cells("A8:A9")
    other = book.create_sheet("Old")
    other.sheet_state = "hidden"
    other.append(["Note", "Value"])
    other.append(["Limit", 0.125])
    other["B2"].number_format = "0.0%"
    book.save(path)
    return path


def pptx_file(path: Path) -> Path:
    """Two slides: a title with points and notes, a table."""
    made = pptx.Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text = "Before you start"
    first.placeholders[1].text_frame.text = "Switch the drive off."
    first.notes_slide.notes_text_frame.text = "Show where the switch is."
    second = made.slides.add_slide(made.slide_layouts[5])
    second.shapes.title.text = "Alarms"
    table = second.shapes.add_table(len(ROWS), 3, 0, 0, 6_000_000, 2_000_000).table
    for r, row in enumerate(ROWS):
        for c, text in enumerate(row):
            table.cell(r, c).text = text
    made.save(str(path))
    return path


def _odf(path: Path, kind: str, body: str) -> Path:
    names = " ".join(
        f'xmlns:{n}="{_OFFICE}{n}:1.0"' for n in ("office", "text", "table", "draw", "presentation")
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0"?><office:document-content {names}><office:body>{body}'
            "</office:body></office:document-content>",
        )
        archive.writestr(
            "meta.xml",
            f'<m:document-meta xmlns:m="{_OFFICE}office:1.0" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>FD40</dc:title>'
            "</m:document-meta>",
        )
    return path


def _odf_rows(header: bool) -> str:
    rows = [
        "<table:table-row>"
        + "".join(f"<table:table-cell><text:p>{t}</text:p></table:table-cell>" for t in row)
        + "</table:table-row>"
        for row in ROWS
    ]
    if header:
        rows[0] = f"<table:table-header-rows>{rows[0]}</table:table-header-rows>"
    return "".join(rows)


def odt(path: Path) -> Path:
    """Heading, paragraph with a space element, list, table."""
    body = (
        '<office:text><text:h text:outline-level="1">Faults</text:h>'
        '<text:p>Read<text:s text:c="1"/>this <text:span>first</text:span>.</text:p>'
        "<text:list><text:list-item><text:p>Keep dry.</text:p></text:list-item></text:list>"
        '<text:h text:outline-level="2">Table of faults</text:h>'
        f'<table:table table:name="T">{_odf_rows(True)}</table:table></office:text>'
    )
    return _odf(path, "text", body)


def ods(path: Path) -> Path:
    """A sheet whose last row is repeated a million times, as programs write it."""
    body = (
        f'<office:spreadsheet><table:table table:name="Alarms">{_odf_rows(False)}'
        '<table:table-row table:number-rows-repeated="1048572"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row></table:table>'
        "</office:spreadsheet>"
    )
    return _odf(path, "spreadsheet", body)


def odp(path: Path) -> Path:
    """Two slides."""
    frame = "<draw:frame{}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    title = ' presentation:class="title"'
    body = (
        f"<office:presentation><draw:page>{frame.format(title, 'Before you start')}"
        f"{frame.format('', 'Switch the drive off.')}</draw:page><draw:page>"
        f"{frame.format(title, 'Alarms')}<draw:frame><table:table>{_odf_rows(True)}"
        "</table:table></draw:frame></draw:page></office:presentation>"
    )
    return _odf(path, "presentation", body)


def _rtf_text(text: str) -> str:
    return "".join(c if c.isascii() else f"\\u{ord(c)}?" for c in text)


def rtf(path: Path) -> Path:
    """Headings by style, Chinese in a code page and as Unicode, a table."""
    rows = "".join(
        "\\trowd\\cellx1000\\cellx2000\\cellx3000\\pard\\intbl "
        + "".join(f"{_rtf_text(text)}\\cell " for text in row)
        + "\\row\n"
        for row in ROWS
    )
    coded = "".join(f"\\'{byte:02x}" for byte in "安全".encode("gb18030"))
    path.write_text(
        "{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0\\fcharset0 Arial;}{\\f1\\fcharset134 SimSun;}}"
        "{\\stylesheet{\\s0 Normal;}{\\s1 heading 1;}{\\s2 heading 2;}}"
        "{\\info{\\title FD40}}{\\*\\generator Nobody;}{\\header Page of FD40}"
        "\\pard\\s1 Faults\\par\\pard\\plain Read {\\b this} first: caf\\'e9, "
        f"{{\\f1 {coded}}}.\\par\\pard\\s2 Table of faults\\par\n{rows}\\pard The end.\\par}}",
        encoding="ascii",
    )
    return path


def epub(path: Path) -> Path:
    """Two chapters, the second one first in the archive."""
    page = "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>x</title></head><body>{}</body></html>"
    table = "".join(
        "<tr>" + "".join(f"<{tag}>{t}</{tag}>" for t in row) + "</tr>"
        for row, tag in zip(ROWS, ("th", "td", "td", "td"), strict=True)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles>"
            "<rootfile full-path='OEBPS/book.opf'/></rootfiles></container>",
        )
        archive.writestr(
            "OEBPS/b.xhtml", page.format(f"<h1>Table of faults</h1><table>{table}</table>")
        )
        archive.writestr("OEBPS/a b.xhtml", page.format("<h1>Faults</h1><p>Read this first.</p>"))
        archive.writestr(
            "OEBPS/book.opf",
            "<package xmlns='http://www.idpf.org/2007/opf' "
            "xmlns:dc='http://purl.org/dc/elements/1.1/'><metadata><dc:title>FD40</dc:title>"
            "</metadata><manifest><item id='a' href='a%20b.xhtml' "
            "media-type='application/xhtml+xml'/><item id='b' href='b.xhtml' "
            "media-type='application/xhtml+xml'/></manifest>"
            "<spine><itemref idref='a'/><itemref idref='b'/></spine></package>",
        )
    return path


def eml(path: Path) -> Path:
    """A message with text and an attachment."""
    message = EmailMessage()
    message["From"] = "Wang Lei <wang@example.org>"
    message["To"] = "maintenance@example.org"
    message["Date"] = "Tue, 05 Mar 2024 14:07:00 +0100"
    message["Subject"] = "E005 on line 3 过温"
    message.set_content("The fan of the drive was blocked.\n\nIt runs again.\n")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="fan.pdf")
    path.write_bytes(message.as_bytes())
    return path


def msg(path: Path) -> Path:
    """The same from Outlook."""
    path.write_bytes(ole.message("E005 on line 3", "Wang Lei", "The fan of the drive was blocked."))
    return path


def xls(path: Path) -> Path:
    """The list as a workbook of old."""
    path.write_bytes(ole.workbook([list(row) for row in ROWS] + [["E004", 24.0, "x"]]))
    return path


def sheet_picture(*, table: bool = True, size: int = 34) -> Image.Image:
    """A page at 200 dots an inch: heading, paragraph and, ruled, the list without its Chinese."""
    picture = Image.new("L", (1654, 2339), 255)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size)
    draw.text((150, 160), "7.2 Fault codes", font=ImageFont.load_default(size * 3 // 2), fill=0)
    lines = (
        "Read this chapter before you work on the drive.",
        "Switch the mains off and wait five minutes.",
        "The codes below stand on the display of the drive.",
    )
    for number, line in enumerate(lines):
        draw.text((150, 280 + 60 * number), line, font=font, fill=0)
    if table:
        edges = (150, 400, 800, 1400)
        for r, row in enumerate(ROWS[:3]):
            for c, text in enumerate(row):
                draw.text((edges[c] + 15, 520 + 80 * r), text, font=font, fill=0)
        for r in range(4):
            draw.line((edges[0], 505 + 80 * r, edges[-1], 505 + 80 * r), fill=0, width=3)
        for edge in edges:
            draw.line((edge, 505, edge, 505 + 240), fill=0, width=3)
    return picture


def scan(path: Path, *, turn: int = 0, pages: int = 1, head: str = "") -> Path:
    """A PDF of pictures, turned to the left by so many quarters; `head` is real text on each."""
    picture = sheet_picture().rotate(90 * turn, expand=True, fillcolor=255)
    raw = io.BytesIO()
    picture.save(raw, "PNG")
    width, height = (part * 72 / 200 for part in picture.size)
    canvas = Canvas(str(path), pagesize=(width, height), invariant=1)
    from reportlab.lib.utils import ImageReader

    for _ in range(pages):
        canvas.drawImage(ImageReader(io.BytesIO(raw.getvalue())), 0, 0, width, height)
        if head:
            canvas.drawString(60, height - 30, head)
        canvas.showPage()
    canvas.save()
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "a.xlsx": xlsx,
    "a.pptx": pptx_file,
    "a.odt": odt,
    "a.ods": ods,
    "a.odp": odp,
    "a.rtf": rtf,
    "a.epub": epub,
    "a.eml": eml,
    "a.msg": msg,
    "a.xls": xls,
}
"""Name of each format's sample, and what makes it."""


def mixed(path: Path, pages: int) -> Path:
    """A page of text, then scans."""
    import pypdfium2

    drawn = Drawn(path.with_name("text.pdf"))
    drawn.line("The drive must be earthed before it is switched on, see chapter 3.")
    target = pypdfium2.PdfDocument.new()
    for part in (drawn.save(), scan(path.with_name("scan.pdf"), pages=pages)):
        with pypdfium2.PdfDocument(part) as source:
            target.import_pages(source)
    target.save(path)
    target.close()
    return path
