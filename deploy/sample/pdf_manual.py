"""The sample manual as PDF, by reportlab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import content as c
from pdf_type import BLUE, CJK_FONT, GREY, PALE, FontlessParagraph, Lang, mark, styles
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    LongTable,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Spacer,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents

SIGNAL_COLOURS = {
    "danger": HexColor("#c1121f"),
    "warning": HexColor("#b85c00"),
    "caution": HexColor("#8a6d00"),
    "note": BLUE,
}
SHORT_TABLE = 12
"""Tables of up to so many rows stay on one page."""

MARGIN = 16 * mm
TEXT_WIDTH = A4[0] - 2 * MARGIN


class _Manual(BaseDocTemplate):  # type: ignore[misc]
    """A document that notes headings for contents and outline, and knows its page count."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            str(path),
            pagesize=A4,
            invariant=1,
            title=f"{c.TITLE.en}: User manual",
            author=c.MAKER,
            subject=f"{c.DOCUMENT_NO}, {c.SUBTITLE.en}",
            lang="en",
        )
        self.total = 0
        frame = Frame(MARGIN, 18 * mm, TEXT_WIDTH, A4[1] - 38 * mm, 0, 0, 0, 0)
        self.addPageTemplates(
            [
                PageTemplate("title", [frame], onPage=_title_page),
                PageTemplate("en", [frame], onPageEnd=_running_lines),
                PageTemplate("zh", [frame], onPageEnd=_running_lines),
            ]
        )

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 (reportlab's name)
        level = getattr(flowable, "outline_level", None)
        if level is None:
            return
        self.canv.bookmarkPage(flowable.key)
        self.canv.addOutlineEntry(flowable.plain, flowable.key, level, closed=level > 0)
        if flowable.in_contents:
            self.notify("TOCEntry", (level, flowable.markup, self.page, flowable.key))

    def afterPage(self) -> None:  # noqa: N802 (reportlab's name)
        # multiBuild lays out until the contents settle: the last pass reads the true count.
        self.total = max(self.total, self.page)


def _running_lines(canvas: Any, doc: _Manual) -> None:
    lang: Lang = "zh" if doc.pageTemplate.id == "zh" else "en"
    style = styles(lang)["running"]
    pick = 1 if lang == "zh" else 0
    foot = c.PAGE[pick].format(doc=c.DOCUMENT_NO, n=doc.page, total=doc.total)
    for text, y in ((c.TITLE[pick], A4[1] - 16 * mm), (foot, 11 * mm)):
        line = FontlessParagraph(mark(text, lang), style)
        line.wrap(TEXT_WIDTH, 10 * mm)
        line.drawOn(canvas, MARGIN, y)
    canvas.setStrokeColor(GREY)
    canvas.setLineWidth(0.4)
    canvas.line(MARGIN, A4[1] - 18 * mm, A4[0] - MARGIN, A4[1] - 18 * mm)
    canvas.line(MARGIN, 16 * mm, A4[0] - MARGIN, 16 * mm)


def _title_page(canvas: Any, _doc: _Manual) -> None:
    """A band of colour and a line drawing of the inverter's front."""
    width, height = A4
    canvas.setFillColor(BLUE)
    canvas.rect(0, height - 42 * mm, width, 42 * mm, stroke=0, fill=1)
    canvas.setFillColor(white)
    canvas.setFont("Helvetica-Bold", 26)
    canvas.drawString(MARGIN, height - 27 * mm, c.MAKER.upper())
    x, y = width - MARGIN - 62 * mm, 48 * mm
    canvas.setStrokeColor(BLUE)
    canvas.setFillColor(PALE)
    canvas.setLineWidth(1.2)
    canvas.roundRect(x, y, 62 * mm, 104 * mm, 3 * mm, stroke=1, fill=1)
    canvas.setFillColor(white)
    canvas.roundRect(x + 9 * mm, y + 56 * mm, 44 * mm, 38 * mm, 2 * mm, stroke=1, fill=1)
    canvas.setFillColor(HexColor("#22313c"))
    canvas.rect(x + 14 * mm, y + 78 * mm, 34 * mm, 11 * mm, stroke=0, fill=1)
    canvas.setFillColor(HexColor("#ff7a59"))
    canvas.setFont("Courier-Bold", 20)
    canvas.drawCentredString(x + 31 * mm, y + 81 * mm, "50.00")
    canvas.setFillColor(PALE)
    for column in range(4):
        for row in range(2):
            left, bottom = x + (14 + 9 * column) * mm, y + (60 + 8 * row) * mm
            canvas.roundRect(left, bottom, 6.5 * mm, 5 * mm, 1 * mm, stroke=1, fill=1)
    for slot in range(6):
        bottom = y + (12 + 6 * slot) * mm
        canvas.line(x + 9 * mm, bottom, x + 53 * mm, bottom)


class _Story:
    """Turns the content of one language into flowables."""

    def __init__(self, lang: Lang) -> None:
        self.lang: Lang = lang
        self.styles = styles(lang)
        self.flow: list[Flowable] = []
        self.chapter = 0
        self.section = 0
        self.table = 0

    def pick(self, text: c.Cell) -> str:
        """The words of this language."""
        if isinstance(text, str):
            return text
        return text.zh if self.lang == "zh" else text.en

    def para(
        self, text: c.Cell, style: str, *, bold: bool = False, **more: Any
    ) -> FontlessParagraph:
        """A paragraph in one of the styles."""
        return FontlessParagraph(
            mark(self.pick(text), self.lang, bold=bold), self.styles[style], **more
        )

    def heading(
        self, text: str, style: str, level: int, *, contents: bool = True
    ) -> FontlessParagraph:
        """A heading that goes to the outline and, if told, to the contents."""
        made = self.para(text, style, bold=True)
        made.outline_level, made.in_contents = level, contents
        made.plain, made.markup = text, mark(text, self.lang)
        made.key = f"{self.lang}-{self.chapter}-{self.section}"
        return made

    def part(self) -> None:
        """The heading of this language's part and all chapters."""
        title = c.PARTS.zh if self.lang == "zh" else c.PARTS.en
        self.flow.append(self.heading(title, "part", 0))
        for chapter in c.CHAPTERS:
            self.chapter, self.section, self.table = self.chapter + 1, 0, 0
            # A heading that another heading follows needs more room to stand on this page.
            deep = isinstance(chapter.blocks[0], c.Section | c.FaultEntries)
            self.flow.append(CondPageBreak((45 if deep else 26) * mm))
            title = f"{self.chapter}  {self.pick(chapter.title)}"
            self.flow.append(self.heading(title, "chapter", 1))
            for block in chapter.blocks:
                self.block(block)

    def block(self, block: c.Block) -> None:
        """Append one block of content."""
        match block:
            case c.Para(text):
                self.flow.append(self.para(text, "body"))
            case c.Section(title):
                self.section += 1
                numbered = f"{self.chapter}.{self.section}  {self.pick(title)}"
                self.flow.append(CondPageBreak(30 * mm))
                self.flow.append(self.heading(numbered, "section", 2, contents=False))
            case c.Items(items, steps):
                for n, item in enumerate(items, 1):
                    bullet = f"{n}." if steps else "•"
                    self.flow.append(self.para(item, "item", bulletText=bullet))
            case c.Notice(level, text):
                self.flow.append(self.notice(level, text))
            case c.Grid(title, header, rows, widths):
                cells = [[self.para(cell, "cell") for cell in row] for row in rows]
                self.ruled(title, header, cells, widths)
            case c.FaultTable():
                self.fault_table()
            case c.FaultEntries():
                self.fault_entries()

    def notice(self, level: str, text: c.Text) -> Flowable:
        """A safety notice in a box of its signal colour."""
        colour: Color = SIGNAL_COLOURS[level]
        word = mark(self.pick(c.SIGNALS[level]), self.lang, bold=True)
        style = ParagraphStyle(
            f"{level}-{self.lang}", self.styles["notice"], borderColor=colour, backColor=white
        )
        body = mark(self.pick(text), self.lang)
        signal = f'<font color="#{colour.hexval()[2:]}">{word}</font>'
        return KeepTogether(FontlessParagraph(f"{signal}&nbsp;&nbsp; {body}", style))

    def caption(self, title: c.Text) -> FontlessParagraph:
        """The numbered title above a table."""
        self.table += 1
        word = "表" if self.lang == "zh" else "Table"
        text = f"{word} {self.chapter}-{self.table}  {self.pick(title)}"
        return self.para(text, "caption", bold=True)

    def ruled(
        self,
        title: c.Text,
        header: tuple[c.Cell, ...],
        rows: list[list[Any]],
        widths: tuple[float, ...],
    ) -> None:
        """A caption and a table with lines round every cell, its header on each page."""
        caption = self.caption(title)
        head = [self.para(cell, "head", bold=True) for cell in header]
        rules = [
            ("GRID", (0, 0), (-1, -1), 0.5, GREY),
            ("BACKGROUND", (0, 0), (-1, 0), BLUE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 1.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.4),
            ("LEFTPADDING", (0, 0), (-1, -1), 4),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ]
        table = LongTable(
            [head, *rows],
            colWidths=[TEXT_WIDTH * share for share in widths],
            repeatRows=1,
            style=TableStyle(rules),
            spaceAfter=3 * mm,
        )
        if len(rows) <= SHORT_TABLE:
            self.flow.append(KeepTogether([caption, table]))
        else:
            self.flow += [CondPageBreak(28 * mm), caption, table]

    def lines(self, texts: tuple[str, ...]) -> list[FontlessParagraph]:
        """A cell with one numbered line a cause or remedy; a single one needs no number."""
        if len(texts) == 1:
            return [self.para(texts[0], "cell")]
        return [self.para(text, "line", bulletText=f"{n}.") for n, text in enumerate(texts, 1)]

    def fault_table(self) -> None:
        """The table of all fault codes."""
        rows: list[list[Any]] = []
        for fault in c.FAULTS:
            zh = self.lang == "zh"
            rows.append(
                [
                    self.para(fault.code, "cell", bold=True),
                    self.para(fault.name_zh if zh else fault.name_en, "cell"),
                    self.lines(fault.causes_zh if zh else fault.causes_en),
                    self.lines(fault.remedies_zh if zh else fault.remedies_en),
                ]
            )
        self.ruled(c.FAULT_TITLE, c.FAULT_HEADER, rows, c.FAULT_WIDTHS)

    def fault_entries(self) -> None:
        """The long descriptions, each a heading and three labelled paragraphs."""
        names = {fault.code: c.Text(fault.name_en, fault.name_zh) for fault in c.FAULTS}
        colon = "：" if self.lang == "zh" else ": "
        for entry in c.ENTRIES:
            self.section += 1
            title = f"{entry.code} {self.pick(names[entry.code])}"
            parts: list[Flowable] = [self.heading(title, "section", 2, contents=False)]
            for label, text in zip(
                c.ENTRY_LABELS, (entry.cause, entry.remedy, entry.reaction), strict=True
            ):
                lead = mark(self.pick(label) + colon, self.lang, bold=True)
                body = lead + mark(self.pick(text), self.lang)
                parts.append(FontlessParagraph(body, self.styles["body"]))
            self.flow.append(KeepTogether(parts))


def _front() -> list[Flowable]:
    """Title page and contents."""
    flow: list[Flowable] = [NextPageTemplate("en"), Spacer(1, 45 * mm)]
    for lang, pick in (("en", 0), ("zh", 1)):
        story = _Story("zh" if lang == "zh" else "en")
        flow.append(story.para(c.TITLE[pick], "part", bold=True))
        lines = (c.SUBTITLE, c.RANGE, c.EDITION)
        flow += [*(story.para(line[pick], "body") for line in lines), Spacer(1, 9 * mm)]
    flow.append(_Story("en").para(c.DOCUMENT_NO, "body", bold=True))
    contents = TableOfContents(dotsMinLevel=0)
    contents.levelStyles = [
        ParagraphStyle(f"toc-{level}", fontName="Helvetica", fontSize=size, leading=size * 1.5,
                       leftIndent=level * 6 * mm, spaceBefore=3 * mm if level == 0 else 0)
        for level, size in enumerate((10.5, 9, 8.5))
    ]  # fmt: skip
    head = f"{c.CONTENTS.en} / {c.CONTENTS.zh}"
    return [*flow, PageBreak(), _Story("zh").para(head, "contents", bold=True), contents]


def write_pdf(path: Path) -> None:
    """Write the manual to `path`.

    Raises:
        OSError: the file cannot be written.
    """
    registerFont(UnicodeCIDFont(CJK_FONT))
    flow = _front()
    for lang in ("en", "zh"):
        story = _Story("zh" if lang == "zh" else "en")
        story.part()
        flow += [NextPageTemplate(lang), PageBreak(), *story.flow]
    _Manual(path).multiBuild(flow)
