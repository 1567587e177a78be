"""The sample manual: readable by machine in both languages, the same bytes each time."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pdfplumber
import pypdfium2
import pytest
from docx import Document
from docx.oxml.ns import qn

from deploy.sample import content

pytestmark = pytest.mark.unit

SCRIPT = Path(__file__).parents[2] / "deploy" / "sample" / "make_manual.py"
HEADERS = {
    "en": [cell.en for cell in content.FAULT_HEADER],
    "zh": [cell.zh for cell in content.FAULT_HEADER],
}
# Where the fault tables stand: page -> first and last code on it.
FAULT_PAGES = {
    "en": {7: ("E001", "E011"), 8: ("E012", "E028")},
    "zh": {15: ("E001", "E007"), 16: ("E008", "E028")},
}


def generate(out_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(out_dir), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out_dir = tmp_path_factory.mktemp("manual") / "new"
    done = generate(out_dir)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(out_dir / f"{content.FILE_STEM}{suffix}") for suffix in (".pdf", ".docx")
    ]
    return out_dir


@pytest.fixture(scope="module")
def pdf(folder: Path) -> Iterator[pypdfium2.PdfDocument]:
    document = pypdfium2.PdfDocument(folder / f"{content.FILE_STEM}.pdf")
    yield document
    document.close()


@pytest.fixture(scope="module")
def pages(pdf: pypdfium2.PdfDocument) -> list[str]:
    return [page.get_textpage().get_text_range() for page in pdf]


@pytest.fixture(scope="module")
def fault_tables(folder: Path) -> dict[str, dict[int, list[list[str]]]]:
    """The rows below each fault table header, by language and page."""
    found: dict[str, dict[int, list[list[str]]]] = {"en": {}, "zh": {}}
    with pdfplumber.open(folder / f"{content.FILE_STEM}.pdf") as document:
        for page in document.pages:
            for table in page.extract_tables():
                for lang, header in HEADERS.items():
                    if table[0] == header:
                        found[lang][page.page_number] = table[1:]
    return found


@pytest.fixture(scope="module")
def docx(folder: Path) -> Any:
    return Document(str(folder / f"{content.FILE_STEM}.docx"))


def bare(text: str) -> str:
    """Text without white space; PDFium marks a hyphen at a line's end as U+FFFE or U+0002."""
    return re.sub(r"\s", "", text).replace("\ufffe", "-").replace("\x02", "-")


def words(node: Any) -> Iterator[str]:
    """Every text of the content, in both languages."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, tuple):
        for part in node:
            yield from words(part)
    elif dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            if field.name != "level":  # a signal word's key, not a text
                yield from words(getattr(node, field.name))


def all_words() -> list[str]:
    return list(words((content.CHAPTERS, content.FAULTS, content.ENTRIES)))


def fault_cells(fault: content.Fault, lang: str) -> list[str]:
    """The four cells of a fault's row as they are to be printed, without white space."""
    name, *lists = (
        (fault.name_en, fault.causes_en, fault.remedies_en)
        if lang == "en"
        else (fault.name_zh, fault.causes_zh, fault.remedies_zh)
    )
    numbered = [
        "".join(f"{n}.{text}" for n, text in enumerate(texts, 1)) if len(texts) > 1 else texts[0]
        for texts in lists
    ]
    return [bare(cell) for cell in (fault.code, name, *numbered)]


def chapter_titles() -> list[str]:
    """The numbered chapter headings, first all English, then all Chinese."""
    return [
        f"{n}  {chapter.title[pick]}"
        for pick in (0, 1)
        for n, chapter in enumerate(content.CHAPTERS, 1)
    ]


def test_length_and_page_numbers(pages: list[str]) -> None:
    total = len(pages)
    assert 10 <= total <= 20
    for n, text in enumerate(pages[1:], 2):
        expected = {
            bare(line.format(doc=content.DOCUMENT_NO, n=n, total=total)) for line in content.PAGE
        }
        assert any(line in bare(text) for line in expected), f"page {n}"


def test_every_word_is_extractable(pages: list[str]) -> None:
    # PDFium drops lone characters of a font it does not have; none may be lost here.
    whole = bare("".join(pages))
    assert [text for text in all_words() if bare(text) not in whole] == []


def test_contents_and_bookmarks_lead_to_the_chapters(
    pdf: pypdfium2.PdfDocument, pages: list[str]
) -> None:
    marks = [(mark.get_title(), mark.get_dest().get_index() + 1) for mark in pdf.get_toc()]
    titles = chapter_titles()
    chapters = [(title, page) for title, page in marks if title in titles]
    assert [title for title, _ in chapters] == titles
    lines = [bare(line) for line in pages[1].splitlines()]
    for title, page in marks:
        assert bare(title) in bare(pages[page - 1]), title
    for title, page in chapters:
        pattern = re.compile(re.escape(bare(title)) + rf"\.+{page}")
        assert any(pattern.fullmatch(line) for line in lines), title


def test_fault_entries_have_bookmarks(pdf: pypdfium2.PdfDocument) -> None:
    titles = [mark.get_title() for mark in pdf.get_toc()]
    names = {fault.code: fault for fault in content.FAULTS}
    for entry in content.ENTRIES:
        assert f"{entry.code} {names[entry.code].name_en}" in titles
        assert f"{entry.code} {names[entry.code].name_zh}" in titles


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_fault_table_runs_over_a_page_with_its_header(
    fault_tables: dict[str, dict[int, list[list[str]]]], pages: list[str], lang: str
) -> None:
    tables = fault_tables[lang]
    assert {page: (rows[0][0], rows[-1][0]) for page, rows in tables.items()} == FAULT_PAGES[lang]
    rows = [[bare(cell) for cell in row] for rows in tables.values() for row in rows]
    assert rows == [fault_cells(fault, lang) for fault in content.FAULTS]
    for page, found in tables.items():
        for row in found:
            assert row[0] in pages[page - 1]


def test_latin_inside_chinese_keeps_its_place(pdf: pypdfium2.PdfDocument, pages: list[str]) -> None:
    chapter = next(text for text in pages if "E005 直流母线欠压\r\n原因" in text)
    assert "低于 P4.02 的设定值（出厂值 350 V DC）" in chapter.replace("\r\n", "")
    assert pdf.get_metadata_value("Title") == f"{content.TITLE.en}: User manual"


def test_same_bytes_each_time(folder: Path, tmp_path: Path) -> None:
    assert generate(tmp_path).returncode == 0
    for suffix in (".pdf", ".docx"):
        name = f"{content.FILE_STEM}{suffix}"
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_docx_has_real_structure(docx: Any) -> None:
    headings = [p.text for p in docx.paragraphs if p.style.name == "Heading 1"]
    assert headings == chapter_titles()
    assert docx.styles["Heading 1"].paragraph_format.page_break_before
    assert "E005 直流母线欠压" in [p.text for p in docx.paragraphs if p.style.name == "Heading 2"]
    assert docx.core_properties.title == f"{content.TITLE.en}: User manual"
    for table in docx.tables:
        flags = [row._tr.find(f".//{qn('w:tblHeader')}") is not None for row in table.rows]
        assert flags == [True] + [False] * (len(flags) - 1)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_docx_fault_table(docx: Any, lang: str) -> None:
    grids = [[[cell.text for cell in row.cells] for row in table.rows] for table in docx.tables]
    (grid,) = (grid for grid in grids if grid[0] == HEADERS[lang])
    rows = [[bare(cell) for cell in row] for row in grid[1:]]
    assert rows == [fault_cells(fault, lang) for fault in content.FAULTS]


def test_docx_holds_every_word_and_no_time(docx: Any, folder: Path) -> None:
    texts = [paragraph.text for paragraph in docx.paragraphs]
    texts += [cell.text for table in docx.tables for row in table.rows for cell in row.cells]
    whole = bare("\n".join(texts))
    expected = [bare(text) for text in all_words()]
    assert [text for text in expected if text not in whole] == []
    with zipfile.ZipFile(folder / f"{content.FILE_STEM}.docx") as package:
        assert {item.date_time for item in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_the_text_refers_to_exists() -> None:
    text = "\n".join(all_words())
    (parameters,) = (
        block
        for chapter in content.CHAPTERS
        for block in chapter.blocks
        if isinstance(block, content.Grid) and block.title.en == "Parameter list"
    )
    listed = {str(row[0]).rstrip("*") for row in parameters.rows}
    assert set(re.findall(r"P\d\.\d\d", text)) == listed
    codes = [fault.code for fault in content.FAULTS]
    assert len(codes) == len(set(codes)) >= 20
    # No \b: a Chinese character counts as a word character and may stand next to a code.
    assert set(re.findall(r"E\d{3}(?!\d)", text)) == set(codes)
    assert {entry.code for entry in content.ENTRIES} <= set(codes)
    titles = [chapter.title.en for chapter in content.CHAPTERS]
    assert titles.index("Maintenance") + 1 == 12, "remedies send the reader to chapter 12"
    assert titles.index("Mechanical installation") + 1 == 3, "remedies send to chapter 3"


def test_both_languages_say_as_much() -> None:
    (e005,) = (fault for fault in content.FAULTS if fault.code == "E005")
    assert (e005.name_en, e005.name_zh) == ("DC bus undervoltage", "直流母线欠压")
    assert (len(e005.causes_en), len(e005.remedies_en)) == (3, 3)
    for fault in content.FAULTS:
        assert len(fault.causes_en) == len(fault.causes_zh) >= 1, fault.code
        assert len(fault.remedies_en) == len(fault.remedies_zh) >= 2, fault.code


@pytest.mark.parametrize(("option", "suffix"), [("--pdf", ".pdf"), ("--docx", ".docx")])
def test_one_format_alone(tmp_path: Path, option: str, suffix: str) -> None:
    assert generate(tmp_path, option).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{content.FILE_STEM}{suffix}"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = generate(blocked)
    assert done.returncode == 1
    assert str(blocked) in done.stderr
    assert "Traceback" not in done.stderr
