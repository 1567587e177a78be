"""Scans and photos: what recognition gives becomes words in their places, rows and pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.retrieval import Passage
from services.ingest import chunking, partition
from services.ingest.partition import bitmap, ocr, tesseract
from services.ingest.partition.effort import Effort, NeedsOcr
from services.ingest.partition.tesseract import Seen
from services.runtime.errors import Rejected
from tests.support import formats
from tests.support.ingest import words

pytestmark = pytest.mark.unit

ROWS = [
    "Code: E001 | Cause: Mains low | Remedy: Check the supply",
    "Code: E002 | Cause: Brake hot | Remedy: Wait, then reset",
]
SENTENCE = "Switch the mains off and wait five minutes."


@pytest.fixture
def recognition() -> None:
    assert not tesseract.missing(), f"apt-get install {tesseract.missing()}"


def read(path: Path, effort: Effort | None = None) -> list[Passage]:
    found = partition.read(path, path.name, lambda _done, _total: None, effort)
    return list(chunking.passages(found.elements, words, labels=found.labels))


@pytest.mark.usefixtures("recognition")
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_a_scan_lies_as_it_likes(tmp_path: Path, turn: int) -> None:
    found = read(formats.scan(tmp_path / "a.pdf", turn=turn))
    assert [p.text for p in found if p.kind == "row"] == ROWS
    assert found[0].section == "7.2 Fault codes"
    assert SENTENCE in found[0].text
    assert {p.page for p in found} == {1}


@pytest.mark.usefixtures("recognition")
def test_a_page_with_only_a_running_head_is_a_scan(tmp_path: Path) -> None:
    (first, *rows) = read(formats.scan(tmp_path / "a.pdf", head="FD40 manual"))
    assert SENTENCE in first.text
    assert "FD40 manual" in first.text
    assert [p.text for p in rows] == ROWS


@pytest.mark.usefixtures("recognition")
@pytest.mark.parametrize("name", ["a.jpg", "a.bmp", "a.gif"])
def test_pictures(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    formats.sheet_picture().save(path)
    found = read(path)
    assert SENTENCE in found[0].text
    assert [p.text for p in found if p.kind == "row"] == ROWS


@pytest.mark.usefixtures("recognition")
def test_a_photo_is_turned_as_the_camera_says_and_levelled(tmp_path: Path) -> None:
    picture = formats.sheet_picture(table=False).rotate(3, fillcolor=255).rotate(90, expand=True)
    exif = Image.Exif()
    exif[274] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert SENTENCE in read(tmp_path / "a.jpg")[0].text


@pytest.mark.usefixtures("recognition")
def test_a_file_of_several_pictures_has_pages(tmp_path: Path) -> None:
    one = formats.sheet_picture(table=False)
    one.save(tmp_path / "a.tiff", save_all=True, append_images=[one])
    assert {p.page for p in read(tmp_path / "a.tiff")} == {1, 2}


@pytest.mark.usefixtures("recognition")
def test_transparent_and_deep_pictures(tmp_path: Path) -> None:
    grey = formats.sheet_picture(table=False)
    ink = Image.new("RGBA", grey.size, (0, 0, 0, 0))
    ink.putalpha(Image.eval(grey, lambda value: 255 - value))
    ink.save(tmp_path / "a.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 200).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert SENTENCE in read(tmp_path / name)[0].text


def test_without_the_program_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_TESSERACT", "/nowhere/libtesseract.so")
    for path in (formats.scan(tmp_path / "a.pdf", pages=2), tmp_path / "a.png"):
        if path.suffix == ".png":
            formats.sheet_picture().save(path)
        with pytest.raises(NeedsOcr) as caught:
            read(path)
        assert "apt-get install tesseract-ocr tesseract-ocr-chi-sim" in caught.value.hint
        assert caught.value.kind == "needs-ocr"


def test_without_chinese_data_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eng.traineddata").touch()
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    monkeypatch.setenv("ANDON_TESSERACT", "libc.so.6")
    assert tesseract.missing() == "tesseract-ocr-chi-sim"


def test_a_document_with_text_is_read_without_the_program_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_TESSERACT", "/nowhere/libtesseract.so")
    found = partition.read(formats.mixed(tmp_path / "a.pdf", 2), "a.pdf", lambda _d, _t: None)
    assert "earthed" in found.elements[0].text
    assert found.note.startswith("2 pages (2, 3) not read: text recognition is missing")


@pytest.mark.usefixtures("recognition")
def test_effort_is_limited_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    path = formats.mixed(tmp_path / "a.pdf", 2)
    few = Effort(pages=1)
    assert {p.page for p in read(path, few)} == {1, 2}
    assert (
        few.note()
        == "page 3 not read: more than the 1 pictures of pages allowed (ingest.ocr_pages)"
    )
    short = Effort(seconds=0.001)
    assert {p.page for p in read(path, short)} == {1}
    assert short.note() == (
        "2 pages (2, 3) not read to the end: recognition took more than 0.001 s "
        "(ingest.ocr_seconds)"
    )


@pytest.mark.usefixtures("recognition")
def test_the_time_for_a_document_ends_and_what_was_read_stays(tmp_path: Path) -> None:
    path = formats.mixed(tmp_path / "a.pdf", 2)
    over = Effort(total=0.0)
    assert {p.page for p in read(path, over)} == {1}
    assert over.note() == (
        "2 pages (2, 3) not read: recognition had taken the time for the document "
        "(ingest.reader_seconds)"
    )
    assert over.read == 0
    with pytest.raises(Rejected, match="they are pictures; page 1 not read"):
        read(formats.scan(tmp_path / "b.pdf"), Effort(total=0.0))


@pytest.mark.usefixtures("recognition")
def test_nothing_but_noise_has_a_reason(tmp_path: Path) -> None:
    Image.fromarray(np.full((800, 600), 255, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(Rejected, match="nothing in them that it could read"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(20_000, 20_000), (8, 2_000)])
def test_pictures_of_no_page_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(Rejected, match="pixels"):
        read(tmp_path / "a.png")


def seen(text: str, x0: int, x1: int, confidence: float) -> Seen:
    return Seen(text, x0, 0, x1, 20, confidence, (1, 1, 1))


def test_each_pass_counts_where_it_knows_the_script() -> None:
    english = [seen("BREE", 0, 60, 20), seen("22°C,", 70, 120, 79), seen("0x05F4", 130, 200, 80)]
    chinese = [
        *(seen(c, 15 * n, 15 * n + 14, 92) for n, c in enumerate("最高温度")),
        seen("人", 100, 120, 26),
        seen("万Ox0", 130, 200, 20),
        seen("47", 210, 230, 90),
    ]
    assert [s.text for s in ocr.merged(english, chinese)] == [
        *"最高温度",
        "22°C,",
        "0x05F4",
        "47",
    ]


def test_a_surer_reading_of_the_same_place_counts() -> None:
    found = ocr.merged([seen("O5FA", 0, 50, 53)], [seen("05F4", 0, 50, 92)])
    assert [s.text for s in found] == ["05F4"]


def test_shadows_are_taken_off_and_lines_found() -> None:
    page = np.full((600, 800), 255, np.float32)
    page[100:103, 100:700] = 0
    page[400:403, 100:700] = 0
    page[100:403, 100:103] = 0
    shadow = np.linspace(0.4, 1.0, 800, dtype=np.float32)
    flat = bitmap.even((page * shadow).astype(np.uint8))
    assert flat[200, 10] > 240
    found = bitmap.strokes(bitmap.ink(flat), 100)
    assert sum(s.x1 - s.x0 > 500 for s in found) == 2
    assert sum(s.bottom - s.top > 250 for s in found) == 1
    assert bitmap.ink(bitmap.without(flat, found)).sum() < 100


def test_sloping_lines_are_levelled() -> None:
    page = np.full((1000, 800), 255, np.uint8)
    across = np.arange(800)
    for top in range(100, 900, 40):
        rows = np.rint(top + (0.02 + 0.00004 * top) * (across - 400)).astype(int)
        for thick in range(4):
            page[rows + thick, across] = 0
    slope = bitmap.slope(bitmap.ink(page))
    assert abs(slope.base - 0.02) < 0.005
    level = bitmap.level(page, slope)
    assert (bitmap.ink(level).mean(axis=1) > 0.9).sum() >= 20
