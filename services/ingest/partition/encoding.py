"""Text files of any common encoding to strings (pure)."""

from __future__ import annotations

import codecs
import re

from services.runtime.errors import Rejected

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def decode(data: bytes) -> str:
    """Return the text of a file: UTF-8, UTF-16, GB18030 or Latin-1, whichever fits.

    Raises:
        Rejected: it is no text at all.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data, encoding)
    half = data[:4096]
    zeros = half.count(0)
    if zeros > len(half) // 4:
        even = half[::2].count(0)
        return _decoded(data, "utf-16-be" if even > zeros - even else "utf-16-le")
    try:
        return _readable(data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return _readable(data.decode("latin-1"))
    # GB18030 accepts most Latin-1 as rare characters: real Chinese stays within common ones.
    high = [c for c in text if ord(c) > 0x7F]
    common = sum(
        1 for c in high if "\u4e00" <= c <= "\u9fa5" or c in "，。：；、“”（）《》！？—…·℃±×Ω"
    )
    if high and common >= 0.7 * len(high) and _runs(text):
        return _readable(text)
    return _readable(data.decode("latin-1"))


def _runs(text: str) -> bool:
    """Return whether Chinese characters stand together: single ones are accented letters."""
    return bool(re.search(r"[\u4e00-\u9fa5]{2}", text)) and not re.search(
        r"[A-Za-z][\u4e00-\u9fa5][A-Za-z]", text
    )


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return _readable(data.decode(encoding))
    except UnicodeDecodeError as error:
        raise Rejected("read text", f"the file says it is {encoding} and is not") from error


def _readable(text: str) -> str:
    if len(_CONTROL.findall(text[:65536])) > 0.02 * min(len(text), 65536):
        raise Rejected("read text", "the file holds binary data, no text")
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).removeprefix("\ufeff")
