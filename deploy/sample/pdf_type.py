"""Fonts, styles and paragraphs of the sample manual's PDF.

Chinese is set in STSong-Light, one of the fonts every PDF reader knows by name, so no font
file is needed. Latin text inside Chinese keeps Helvetica, which reads and looks better.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any, Literal
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph

Lang = Literal["en", "zh"]

CJK_FONT = "STSong-Light"
NO_BREAK = "\u00a0"
BLUE = HexColor("#12456b")
PALE = HexColor("#e4ecf3")
GREY = HexColor("#7a8691")
_CHINESE_STOPS = "“”‘’…·"
"""Characters Helvetica has too, but which belong to the Chinese text around them."""


_OHM = re.compile(r"\w+Ω|[ ]?Ω")


def mark(text: str, lang: Lang, *, bold: bool = False) -> str:
    """Escape text for a Paragraph and name the font of each run, whatever stands around it."""
    if lang == "en":
        # The ohm sign is not in Helvetica; its neighbour goes with it, see FontlessParagraph.
        marked = _OHM.sub(lambda m: f"\0{m.group().replace(' ', NO_BREAK)}\0", text)
        runs = [(n % 2 == 0, run) for n, run in enumerate(marked.split("\0"))]
    else:
        runs = [(key, "".join(run)) for key, run in groupby(text, _in_helvetica)]
    latin_font = "Helvetica-Bold" if bold else "Helvetica"
    return "".join(
        f'<font name="{latin_font if latin else CJK_FONT}">{escape(run)}</font>'
        for latin, run in runs
        if run
    )


def _in_helvetica(char: str) -> bool:
    return char not in _CHINESE_STOPS and bool(char.encode("cp1252", "ignore"))


class FontlessParagraph(Paragraph):  # type: ignore[misc]
    """A paragraph whose Chinese survives a reader that has no Chinese font.

    Without one PDFium takes a lone glyph for an empty box and drops its text; two glyphs have
    a width by their distance. So a run of one Chinese character gets a space behind it.
    """

    def breakLinesCJK(self, maxWidths: Any) -> Any:  # noqa: N802, N803 (reportlab's names)
        """Break as the base class does, then widen lone Chinese characters."""
        broken = super().breakLinesCJK(maxWidths)
        for n, line in enumerate(broken.lines):
            if isinstance(line, tuple):
                space, words = line
                if len(words[0]) == 1:
                    broken.lines[n] = (space, [words[0] + " "])
                continue
            for word in line.words:
                if word.fontName == CJK_FONT and len(word.text) == 1:
                    word.text += " "
        return broken


def _style(lang: Lang, name: str, size: float, **more: Any) -> ParagraphStyle:
    settings: dict[str, Any] = {
        "fontName": CJK_FONT if lang == "zh" else "Helvetica",
        "fontSize": size,
        "leading": size * (1.36 if lang == "zh" else 1.28),
        "alignment": TA_LEFT,
        "wordWrap": "CJK" if lang == "zh" else None,
        "bulletFontSize": size,
    }
    return ParagraphStyle(f"{name}-{lang}", **(settings | more))


def styles(lang: Lang) -> dict[str, ParagraphStyle]:
    """The paragraph styles of one language, by name."""
    cell = 7.9
    return {
        "part": _style(lang, "part", 20, textColor=BLUE, spaceAfter=5 * mm),
        "chapter": _style(
            lang, "chapter", 14, textColor=BLUE, spaceBefore=5 * mm, spaceAfter=2 * mm
        ),
        "section": _style(
            lang, "section", 11, textColor=BLUE, spaceBefore=2.5 * mm, spaceAfter=1 * mm
        ),
        "body": _style(lang, "body", 9, spaceAfter=1.6 * mm),
        "item": _style(lang, "item", 9, leftIndent=6 * mm, spaceAfter=1 * mm),
        "caption": _style(lang, "caption", 8.8, spaceBefore=2.5 * mm, spaceAfter=1.2 * mm),
        "cell": _style(lang, "cell", cell),
        "line": _style(lang, "line", cell, leftIndent=4.2 * mm),
        "head": _style(lang, "head", cell, textColor=white),
        "notice": _style(
            lang, "notice", 9, borderWidth=0.8, borderPadding=(5, 6, 6, 6),
            leftIndent=7, rightIndent=7, spaceBefore=4.6 * mm, spaceAfter=4.6 * mm,
        ),
        "running": _style(lang, "running", 8, textColor=GREY),
        "contents": _style(lang, "contents", 20, textColor=BLUE, spaceAfter=5 * mm),
    }  # fmt: skip
