"""reStructuredText: drawn tables, tables in directives, and what a reader sees of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import chunking, partition, tables
from services.ingest.partition import rst
from tests.support.ingest import words

pytestmark = pytest.mark.unit

SIMPLE = """\
====== ============ ==================
代码   可能的原因   Remedy
====== ============ ==================
K01    滚筒堵转     :doc:`clean <gap>`
K02    belt worn    `replace <x.html>`_
\x20                   the belt
====== ============ ==================
"""
GRID = """\
+------+-----------+
| Code | Cause     |
+======+===========+
| K01  | drum jams |
|      | or slips  |
+------+-----------+
| K02  | door open |
+------+-----------+
"""
LISTED = """\
.. list-table:: Faults
   :header-rows: 1
   :widths: 10 90

   * - Code
     - Cause
   * - K01
     - drum jams
       or slips
   * - K02
     - door open
"""
SEPARATED = """\
.. csv-table:: Faults
   :header: Code; Cause
   :delim: ;

   K01; "drum jams; or slips"
   K02; door open
"""


def rows(text: str) -> list[str]:
    _, found = rst.rendered(text)
    (table,) = found.values()
    return [tables.row_text(table.header, row.cells) for row in table.rows]


def test_a_simple_table_is_cut_where_its_columns_stand() -> None:
    assert rows(SIMPLE) == [
        "代码: K01 | 可能的原因: 滚筒堵转 | Remedy: clean",
        "代码: K02 | 可能的原因: belt worn | Remedy: replace the belt",
    ]


@pytest.mark.parametrize("text", [GRID, LISTED])
def test_tables_in_a_grid_and_as_a_list(text: str) -> None:
    assert rows(text) == ["Code: K01 | Cause: drum jams or slips", "Code: K02 | Cause: door open"]


def test_a_table_as_csv() -> None:
    assert rows(SEPARATED) == [
        "Code: K01 | Cause: drum jams; or slips",
        "Code: K02 | Cause: door open",
    ]


def test_a_fault_in_directives_is_an_entry(tmp_path: Path) -> None:
    text = (
        "Faults\n======\n\n.. toctree::\n   :maxdepth: 2\n\n   other\n\n.. _k07:\n\n.. a remark\n"
        "   in two lines\n\nK07\n---\n\n.. admonition:: Meaning\n   :class: tip\n\n"
        "   The :term:`drum` is jammed.\n\n.. admonition:: Possible causes\n\n   - lint\n"
        "   - wear\n\n"
        "Steps\n   1. Stop it.\n   2. Clean it.\n\n.. note:: Wait a :term:`minute <time>`.\n"
    )
    path = tmp_path / "a.rst"
    path.write_text(text, encoding="utf-8")
    read = partition.read(path, path.name, lambda _done, _total: None)
    (passage,) = chunking.passages(read.elements, words)
    assert (passage.kind, passage.section) == ("entry", "Faults")
    assert passage.text == (
        "K07\nMeaning: The drum is jammed.\nPossible causes: - lint\n- wear\n"
        "Steps: 1. Stop it.\n2. Clean it.\nNote: Wait a minute."
    )


@pytest.mark.parametrize(
    "text",
    [
        "Title\n=====\n\nwords :: more\n",
        "===== ====\nno end\n",
        "a = b\n.. and so on\n",
        "+---+---+\nnot a table\n",
        ".. list-table:: Faults\n   :file: faults.csv\n",
        ".. |Faults| image:: faults.png\n.. |Title| replace:: Drum\n",
    ],
)
def test_what_is_no_table_stays_text(text: str) -> None:
    plain, found = rst.rendered(text)
    assert not found
    for word in ("Title", "no end", "a = b", "not a table", "Faults"):
        assert (word in plain) == (word in text)


@given(
    st.lists(
        st.sampled_from(
            ["== ==", "a  b", "", "  x", ".. note::", "   .. a:: b", "+--+--+", "| a | b |", "..",
             ".. list-table::", "   * - a", "     - b", "   :delim: ;;", ".. csv-table:: c"]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_any_text_is_rendered(lines: list[str]) -> None:
    plain, found = rst.rendered("\n".join(lines))
    assert all(mark in plain.split("\n") for mark in found)
    assert all(table.rows for table in found.values())
