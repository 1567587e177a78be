"""XLSX, XLSM and old XLS to sheets, by openpyxl and xlrd.

Not by unstructured's partitioner: it needs pandas (42 MB installed), which takes a node with
ingest over its size, keeps no row numbers, and shows values instead of what the sheet shows.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.ingest.partition import archive, sheets, shown
from services.ingest.partition.document import Document
from services.ingest.partition.sheets import MAX_COLUMNS, Sheet
from services.runtime.errors import Rejected

Progress = Callable[[int, int | None], None]

MAX_CELLS = 5_000_000
"""Filled cells of a workbook beyond which it is a database."""
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3}\d{1,7}):([A-Z]{1,3}\d{1,7})"')
_MOST_MERGED = 20_000
_PLACE = re.compile(r"([A-Z]+)(\d+)")
_BLANK_ROWS = 5_000
"""Rows without content in a row after which a sheet is over, whatever it says of its size."""


def read_xlsx(path: Path, progress: Progress) -> Document:
    """Read an Excel workbook.

    Raises:
        Rejected: it is damaged, or too large.
    """
    archive.check(path, "workbook")
    import openpyxl  # noqa: PLC0415  (heavy, and after the check)

    found: list[Sheet] = []
    budget = _Budget()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions that it leaves out
        try:
            # A file, not its path: originals have no ending, and openpyxl goes by that.
            with path.open("rb") as file:
                book = openpyxl.load_workbook(
                    file, read_only=True, data_only=True, keep_links=False
                )
                title = str(book.properties.title or "").strip() if book.properties else ""
                pages = book.worksheets
                for index, page in enumerate(pages, start=1):
                    rows = list(_rows(page, budget))
                    merged = _merged(path, getattr(page, "_worksheet_path", ""))
                    found.append(Sheet(page.title, rows, merged, page.sheet_state != "visible"))
                    progress(index, len(pages))
        except (MemoryError, Rejected):
            raise
        except Exception as error:
            raise _damaged(error) from error
    return Document(list(sheets.elements(found)), title)


def read_xls(path: Path, progress: Progress) -> Document:
    """Read a workbook of Excel 97 to 2003.

    Raises:
        Rejected: it is damaged, encrypted, or too large.
    """
    import xlrd  # noqa: PLC0415

    found: list[Sheet] = []
    budget = _Budget()
    try:
        with (
            Path("/dev/null").open("w", encoding="utf-8") as nowhere,
            xlrd.open_workbook(
                str(path), formatting_info=True, on_demand=True, logfile=nowhere
            ) as book,
        ):
            for index in range(book.nsheets):
                sheet = book.sheet_by_index(index)
                rows = list(_old_rows(book, sheet, budget))
                merged = [(a + 1, c, b, d - 1) for a, b, c, d in sheet.merged_cells[:_MOST_MERGED]]
                found.append(Sheet(sheet.name, rows, merged, bool(sheet.visibility)))
                book.unload_sheet(index)
                progress(index + 1, book.nsheets)
    except (MemoryError, Rejected):
        raise
    except Exception as error:
        if "encrypted" in str(error).lower():
            raise Rejected(
                "read workbook",
                "the workbook is encrypted and needs a password",
                "save a copy without a password and add that",
            ) from error
        raise _damaged(error) from error
    return Document(list(sheets.elements(found)))


class _Budget:
    """Cells that may still be taken."""

    def __init__(self) -> None:
        self._left = MAX_CELLS

    def take(self, cells: int) -> None:
        """Take some.

        Raises:
            Rejected: there are too many.
        """
        self._left -= cells
        if self._left < 0:
            raise Rejected(
                "read workbook",
                f"it has more than {MAX_CELLS} filled cells",
                "add the sheets that describe the machine, not its recorded data",
            )


def _rows(page: Any, budget: _Budget) -> Iterator[tuple[int, list[str]]]:
    blank = 0
    # What the file says of its size may be wrong in either direction.
    page.reset_dimensions()
    for number, row in enumerate(page.iter_rows(max_col=MAX_COLUMNS), start=1):
        cells = [_shown(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            blank += 1
            if blank > _BLANK_ROWS:
                return
            continue
        blank = 0
        budget.take(sum(map(bool, cells)))
        yield number, cells


def _shown(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    code = "General" if isinstance(value, str) else cell.number_format or "General"
    return shown.text(value, code).strip()


def _merged(path: Path, part: str) -> list[tuple[int, int, int, int]]:
    """Return the merged cells of a sheet, which openpyxl leaves out when it reads in a stream."""
    if not part:
        return []
    found: list[tuple[int, int, int, int]] = []
    with zipfile.ZipFile(path) as parts, parts.open(part.lstrip("/")) as file:
        rest = b""
        while block := file.read(2**18):
            block = rest + block
            end = 0
            for match in _MERGED.finditer(block):
                end = match.end()
                top, left = _place(match[1].decode())
                bottom, right = _place(match[2].decode())
                found.append((top, left, bottom, right))
            if len(found) > _MOST_MERGED:
                return []
            rest = block[max(end, len(block) - 200) :]
    return found


def _place(reference: str) -> tuple[int, int]:
    """Return row (from 1) and column (from 0) of `B7`."""
    match = _PLACE.fullmatch(reference)
    if match is None:
        return 0, 0
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - 64
    return int(match[2]), column - 1


def _old_rows(book: Any, sheet: Any, budget: _Budget) -> Iterator[tuple[int, list[str]]]:
    for row in range(sheet.nrows):
        cells = [
            _old_shown(book, sheet, row, column)
            for column in range(min(sheet.row_len(row), MAX_COLUMNS))
        ]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            budget.take(sum(map(bool, cells)))
            yield row + 1, cells


def _old_shown(book: Any, sheet: Any, row: int, column: int) -> str:
    import xlrd  # noqa: PLC0415

    kind, value = sheet.cell_type(row, column), sheet.cell_value(row, column)
    if kind not in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        if kind == xlrd.XL_CELL_ERROR:
            value = xlrd.error_text_from_code.get(value, "")
        return shown.text(bool(value) if kind == xlrd.XL_CELL_BOOLEAN else str(value)).strip()
    code = "General"
    index = sheet.cell_xf_index(row, column)
    if index < len(book.xf_list):
        form = book.format_map.get(book.xf_list[index].format_key)
        code = form.format_str if form else code
    if kind == xlrd.XL_CELL_DATE:
        try:
            moment: dt.datetime = xlrd.xldate.xldate_as_datetime(value, book.datemode)
        except (ValueError, OverflowError):
            return shown.text(value)
        return shown.text(moment if value >= 1 else moment.time(), code)
    return shown.text(value, code)


def _damaged(error: Exception) -> Rejected:
    return Rejected(
        "read workbook",
        f"the workbook is damaged ({type(error).__name__})",
        "open it in a spreadsheet program, save it anew and add that",
    )
