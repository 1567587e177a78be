from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.partition import encoding
from services.runtime.errors import Rejected

pytestmark = pytest.mark.unit

CHINESE = "变频器报E005错误怎么办？检查直流母线电压。"
GERMAN = "Prüfen Sie die Überspannung: 5 Ω, ±10 °C\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "utf-16"),
        (CHINESE, "gb18030"),
        ("Fault E005: check supply", "utf-16-le"),
        ("Fault E005: check supply", "utf-16-be"),
        ("Prüfen Sie die Überspannung am Gerät", "latin-1"),
        (GERMAN, "utf-8"),
    ],
)
def test_common_encodings_are_told_apart(text: str, name: str) -> None:
    assert encoding.decode(text.encode(name)) == text


def test_line_ends_become_one() -> None:
    assert encoding.decode(b"a\r\nb\rc\n") == "a\nb\nc\n"


def test_binary_is_no_text() -> None:
    with pytest.raises(Rejected, match="binary"):
        encoding.decode(bytes(range(1, 9)) * 40)


@given(st.binary(max_size=600))
def test_any_bytes_are_text_or_rejected(data: bytes) -> None:
    try:
        text = encoding.decode(data)
    except Rejected:
        return
    assert "\x00" not in text


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_utf8_comes_back_whole(text: str) -> None:
    assert encoding.decode(text.encode()) == text.removeprefix("\ufeff")
