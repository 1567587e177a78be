"""The other readers, and the choice among them by content."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
import unstructured
from hypothesis import given
from hypothesis import strategies as st

from schemas.retrieval import Passage
from services.ingest import chunking, partition
from services.ingest.partition import offline, sniffing, table
from services.retriever import records
from services.runtime.errors import Rejected
from tests.support.ingest import Drawn, words
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.unit

TEXT_TYPE = Path(unstructured.__file__).parent / "partition" / "text_type.py"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def passages_of(path: Path) -> list[Passage]:
    found = partition.read(path, path.name, lambda _done, _total: None)
    return list(chunking.passages(found.elements, words, labels=found.labels))


def put(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_word(tmp_path: Path) -> None:
    made = docx.Document()
    made.core_properties.title = "FD40 manual"
    made.add_heading("Faults", 1)
    made.add_paragraph("Read this first.")
    made.add_heading("Table of faults", 2)
    drawn = made.add_table(rows=2, cols=3)
    for row, cells in zip(
        drawn.rows, [("Code", "Cause", "Remedy"), ("E1", "low", "check")], strict=True
    ):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    path = tmp_path / "manual.docx"
    made.save(str(path))
    assert partition.read(path, path.name, lambda _d, _t: None).title == "FD40 manual"
    assert [(p.kind, p.page, p.section, p.text) for p in passages_of(path)] == [
        ("text", None, "Faults", "Faults\nRead this first."),
        ("row", None, "Faults > Table of faults", "Code: E1 | Cause: low | Remedy: check"),
    ]


def test_markdown(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "manual.md",
        "# Faults\n\nRead this.\n\n## Codes\n\n| Code | Cause |\n|---|---|\n| E1 | low |\n\n"
        "### E2 Overvoltage\n\n**Cause:** mains high\n\n**Remedy:** wait\n",
    )
    assert [(p.kind, p.section, p.text) for p in passages_of(path)] == [
        ("text", "Faults", "Faults\nRead this."),
        ("row", "Faults > Codes", "Code: E1 | Cause: low"),
        ("entry", "Faults > Codes", "E2 Overvoltage\nCause: mains high\nRemedy: wait"),
    ]


@pytest.mark.parametrize("name", ["utf-8", "gb18030", "utf-16"])
def test_html(tmp_path: Path, name: str) -> None:
    page = (
        "<!doctype html><html><head><title>手册</title></head><body><h1>故障</h1>"
        "<p>请先阅读本手册的安全说明。</p><table><tr><th>代码</th><th>原因</th></tr>"
        "<tr><td>E1</td><td>欠压</td></tr></table><script>x()</script></body></html>"
    )
    path = put(tmp_path, "manual.html", page.encode(name))
    assert [(p.kind, p.section, p.text, p.lang) for p in passages_of(path)] == [
        ("text", "故障", "故障\n请先阅读本手册的安全说明。", "zh"),
        ("row", "故障", "代码: E1 | 原因: 欠压", "zh"),
    ]


def test_restructured_text(tmp_path: Path) -> None:
    path = put(tmp_path, "a.rst", "Manual\n======\n\nHello.\n\nFaults\n------\n\nE1 is bad.\n")
    assert [(p.section, p.text) for p in passages_of(path)] == [
        ("Manual", "Manual\nHello."),
        ("Manual > Faults", "Faults\nE1 is bad."),
    ]


def test_plain_text_with_numbered_headings(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", "1 Faults\n\nE1 is bad.\n\n1.1 Reset\n\nPress STOP.\n")
    assert [p.section for p in passages_of(path)] == ["1 Faults", "1 Faults > 1.1 Reset"]


def test_csv_rows(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", 'Code;Cause\nE1;"low; or lost"\nE2;high\n')
    assert [
        (p.kind, p.section, p.text, [(f.name, f.value) for f in p.fields])
        for p in passages_of(path)
    ] == [
        (
            "row",
            "a > row 2",
            "Code: E1 | Cause: low; or lost",
            [("Code", "E1"), ("Cause", "low; or lost")],
        ),
        ("row", "a > row 3", "Code: E2 | Cause: high", [("Code", "E2"), ("Cause", "high")]),
    ]


def test_csv_captions_and_cells_of_several_lines(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "alarm_list.csv",
        "Alarms of the FD40;;\r\nCode;Cause;Remedy\r\n"
        'E1;low;"1. check mains\r\n2. reset"\r\nE2;"high; or lost";wait\r\n',
    )
    assert [(p.section, p.text) for p in passages_of(path) if p.kind == "row"] == [
        (
            "alarm list > Alarms of the FD40 > row 3",
            "Code: E1 | Cause: low | Remedy: 1. check mains 2. reset",
        ),
        (
            "alarm list > Alarms of the FD40 > row 4",
            "Code: E2 | Cause: high; or lost | Remedy: wait",
        ),
    ]


def test_csv_with_a_note_above_keeps_the_files_name(tmp_path: Path) -> None:
    path = put(tmp_path, "alarm_list.csv", "From 2024 on\n\nCode,Cause\nE1,low\nE2,high\n")
    assert [(p.kind, p.section, p.text) for p in passages_of(path)] == [
        ("text", "alarm list", "alarm list\nFrom 2024 on"),
        ("row", "alarm list > row 4", "Code: E1 | Cause: low"),
        ("row", "alarm list > row 5", "Code: E2 | Cause: high"),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_found(mark: str) -> None:
    assert table.separator(f"a{mark}b\nc, d{mark}e\n") == mark


def test_json_lists_are_rows(tmp_path: Path) -> None:
    alarms = [{"id": 16, "en": {"cause": "x"}}, {"id": 17, "en": {"cause": "y"}}]
    path = put(tmp_path, "alarms.json", json.dumps({"robot": alarms, "version": 3}))
    assert [(p.kind, p.section, p.text) for p in passages_of(path)] == [
        ("text", "", "version: 3"),
        ("row", "robot", "id: 16 | en cause: x"),
        ("row", "robot", "id: 17 | en cause: y"),
    ]


def test_a_bare_table_is_told_by_the_files_name(tmp_path: Path) -> None:
    alarms = [
        {"id": n, "en": {"cause": "x"}, "zh_CN": {"cause": "缺相"}, "level": 0} for n in (16, 17)
    ]
    (first, _) = passages_of(put(tmp_path, "alarm_servo.json", json.dumps(alarms)))
    assert (first.kind, first.section) == ("row", "alarm servo")
    assert [(f.name, f.value) for f in first.fields] == [
        ("id", "16"),
        ("en cause", "x"),
        ("zh_CN cause", "缺相"),
        ("level", "0"),
    ]
    assert records.passage_codes(first) == {"#16": records.DEFINES}


def test_a_list_of_one_alarm_is_a_row(tmp_path: Path) -> None:
    path = put(tmp_path, "alarms.json", json.dumps([{"id": 16, "en": {"cause": "x"}}]))
    assert [(p.kind, p.text) for p in passages_of(path)] == [("row", "id: 16 | en cause: x")]


@pytest.mark.parametrize(
    ("file", "rows", "codes"),
    [
        ("grbl_en/doc/csv/alarm_codes_en_US.csv", 10, {"#1", "#10"}),
        ("grbl_en/doc/csv/error_codes_en_US.csv", 36, {"#1", "#38"}),
        ("dobot_json/files/alarm_servo.json", 88, {"#2", "#10"}),
        ("dobot_json/files/alarm_controller.json", 572, {"#16", "#17"}),
        ("siguren_en/docs/source/_tables/ms-faults-and-warnings.csv", 18, {"E02", "E11"}),
    ],
)
def test_real_alarm_lists_define_their_codes(file: str, rows: int, codes: set[str]) -> None:
    found = passages_of(needed_data() / "manuals" / "other" / file)
    assert [p.kind for p in found] == ["row"] * rows
    assert all(p.fields for p in found)
    defined = {c for p in found for c, how in records.passage_codes(p).items() if how == 3}
    assert codes <= defined


def test_small_files_load_no_partitioner_and_no_http_client() -> None:
    code = (
        "import sys;from services.ingest.partition import offline;offline.prepare();"
        "from services.ingest import chunking;"
        "from services.ingest.partition import records,table,text;"
        "bad=('urllib3','http.client','bs4','unstructured.partition.text');"
        "print(*[m for m in bad if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


@given(st.text(), st.floats(0, 1))
def test_letters_are_counted_as_unstructured_does(text: str, threshold: float) -> None:
    source = TEXT_TYPE.read_text(encoding="utf-8")
    assert source.count("under_non_alpha_ratio(") == 3  # defined, and called in this module alone
    theirs: dict[str, Any] = {}
    start = source.index("def under_non_alpha_ratio(")
    exec(source[start : source.index("\ndef ", start)], theirs)  # noqa: S102  (the one replaced)
    assert offline.few_letters(text, threshold) == theirs["under_non_alpha_ratio"](text, threshold)


def test_partitioners_load_only_what_a_reader_uses() -> None:
    code = (
        "import sys;from services.ingest.partition import offline;offline.prepare_partitioner();"
        "import unstructured.partition.docx,unstructured.partition.html,unstructured.partition.md;"
        "bad=('numpy','bs4','pydantic','requests','urllib3','html5lib');"
        "print(*[m for m in bad if m in sys.modules]);"
        "import numpy,requests;print(numpy.zeros(1).shape,requests.get.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["", "(1,) get"]  # the real ones, for who needs them


def zipped(tmp_path: Path, name: str, **members: str) -> Path:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member.replace("__", "/"), content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", b"", "empty"),
        ("a.pdf", b"   \n\n", "holds no data"),
        ("a.pdf", b"hello", "no PDF"),
        ("a.docx", b"hello", "no Word document"),
        ("a.pdf", b"%PDF-1.7 garbage", "damaged"),
        ("a.docx", b"PK\x03\x04garbage", "damaged archive"),
        ("a.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("a.doc", OLE + "WordDocument".encode("utf-16-le"), r"old \.doc format"),
        ("a.ppt", OLE + "PowerPoint Document".encode("utf-16-le"), r"old \.ppt format"),
        ("a.xls", OLE + "Workbook".encode("utf-16-le"), "the workbook is damaged"),
        ("a.msg", OLE + "__properties_version1.0".encode("utf-16-le"), "the message is damaged"),
        ("a.png", b"\x89PNG\r\n\x1a\n0000", "the picture is damaged"),
        ("a.xlsx", b"PK\x05\x06" + bytes(18), "unknown kind"),
        ("a.rtf", b"{\\rtf1" + b"{" * 2000, "nested without end"),
        ("a.gz", b"\x1f\x8b\x08" + bytes(20), "gzip archive"),
        ("a.bin", bytes(range(256)), "binary data"),
        ("a.json", b"{", "no JSON"),
        ("~$manual.docx", b"\x05Somebody", "while a document is open"),
        ("a.txt", b"%PDF-1.7 garbage", "damaged"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(Rejected, match=reason):
        passages_of(put(tmp_path, name, content))


def test_unsupported_names_what_is_supported(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as caught:
        passages_of(zipped(tmp_path, "a.xlsb", **{"xl__workbook.bin": "x"}))
    assert "binary Excel workbook" in caught.value.reason
    assert sniffing.SUPPORTED in caught.value.hint


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path / "manual")
    drawn.line("Hello.")
    path = drawn.save()
    assert partition.sniff(path, "manual.bin") == "pdf"
    with pytest.raises(Rejected, match=r"ends in \.docx, but the content is a PDF"):
        partition.sniff(path, "manual.docx")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path, "a.docx", word__document="x", word__media="0" * (20 * 2**20))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("word/document.xml", "<x/>")
    with pytest.raises(Rejected, match="unpacks to 20 MB"):
        passages_of(path)


def test_no_reader_loads_spacy_or_torch() -> None:
    code = (
        "import sys;from services.ingest.partition import html,offline,office,pdf,table;"
        "offline.prepare();import unstructured.partition.docx,unstructured.partition.md;"
        "import unstructured.partition.pptx;"
        "from services.ingest.partition import epub,image,mail,odf,ocr,rtf,slides,workbook;"
        "import openpyxl,xlrd;"
        "bad=('spacy','torch','pandas','unstructured_client','transformers','unstructured_inference');"
        "print(*[m for m in bad if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
