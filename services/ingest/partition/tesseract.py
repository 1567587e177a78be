"""The text recognition program tesseract, called in this process through its C interface.

In-process because a reader may start no program: its limits on memory and time hold for the
recognition as for everything else, and the language data is loaded once, not once a page.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENGLISH = "eng"
CHINESE = "chi_sim"
_ORIENTATION = "osd"
_LIBRARIES = ("libtesseract.so.5", "libtesseract.so.4")
_DATA = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
)
_LSTM = 1
"""Engine mode: neural network only, which is all that Debian's data holds."""
_LEGACY = 3
"""Engine mode the orientation data asks for: whatever is there."""
_LIMIT = "OMP_THREAD_LIMIT"

_TURN_SURE = 2.0
"""Tesseract's measure of how sure it is of a page's turn; a page of much text has 10 and more."""

PAGE = 3
"""Layout: whatever there is, columns too."""
BLOCK = 6
"""Layout: one block of text."""
LINE = 7
"""Layout: one line."""


@dataclass(slots=True, frozen=True)
class Seen:
    """A word as recognised; pixels."""

    text: str
    x0: int
    top: int
    x1: int
    bottom: int
    confidence: float
    """From 0 to 100."""
    line: tuple[int, int, int]
    """Block, paragraph and line it stands in."""


def missing() -> str:
    """Return the Debian packages that recognition lacks on this machine; empty when it can work."""
    if not _library():
        return "tesseract-ocr tesseract-ocr-chi-sim"
    folder = _data()
    names = {ENGLISH: "tesseract-ocr-eng", CHINESE: "tesseract-ocr-chi-sim"}
    lacking = [name for name in names if not (folder / f"{name}.traineddata").is_file()]
    return " ".join(names[name] for name in lacking)


def data_there() -> bool:
    """Return whether the languages are there, so that recognition may work; loads nothing."""
    return all((_data() / f"{name}.traineddata").is_file() for name in (ENGLISH, CHINESE))


def _library() -> str:
    # Threads of its own make it slower, not faster; read when the library is loaded.
    os.environ.setdefault(_LIMIT, "1")
    named = os.environ.get("ANDON_TESSERACT")
    for name in (named,) if named is not None else _LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    return ""


def _data() -> Path:
    named = os.environ.get("TESSDATA_PREFIX")
    folders = [Path(named)] if named else [Path(folder) for folder in _DATA]
    return next((f for f in folders if (f / f"{ENGLISH}.traineddata").is_file()), folders[0])


class Tesseract:
    """One language, loaded."""

    def __init__(self, language: str) -> None:
        """Load it.

        Raises:
            MemoryError: there is no room for it.
        """
        self._library = _declared(ctypes.CDLL(_library()))
        self._handle = self._library.TessBaseAPICreate()
        folder = str(_data()).encode()
        mode = _LEGACY if language == _ORIENTATION else _LSTM
        if self._library.TessBaseAPIInit2(self._handle, folder, language.encode(), mode) != 0:
            # That its files are there was asked before: what is left is want of room.
            self._library.TessBaseAPIDelete(self._handle)
            raise MemoryError(f"the data of {language} cannot be loaded")
        # Debug output would fill the file for error messages.
        self._library.TessBaseAPISetVariable(self._handle, b"debug_file", b"/dev/null")

    def close(self) -> None:
        """Free its memory."""
        self._library.TessBaseAPIEnd(self._handle)
        self._library.TessBaseAPIDelete(self._handle)

    def words(self, picture: Any, dpi: int, layout: int, seconds: float) -> list[Seen] | None:
        """Return the words of a picture, None when the time was over before it was read.

        Args:
            picture: Grey values, uint8, shape (height, width), C-contiguous.
            dpi: Pixels an inch.
            layout: PAGE, BLOCK or LINE.
            seconds: Time it may take.
        """
        library, handle = self._library, self._handle
        height, width = picture.shape
        library.TessBaseAPISetPageSegMode(handle, layout)
        library.TessBaseAPISetImage(handle, picture.tobytes(), width, height, 1, width)
        library.TessBaseAPISetSourceResolution(handle, dpi)
        monitor = library.TessMonitorCreate()
        text = None
        try:
            library.TessMonitorSetDeadlineMSecs(monitor, max(1, int(1000 * seconds)))
            if library.TessBaseAPIRecognize(handle, monitor) != 0:
                return None
            text = library.TessBaseAPIGetTsvText(handle, 0)
            if not text:
                return []
            return _parsed(ctypes.string_at(text).decode(errors="replace"))
        finally:
            if text:
                library.TessDeleteText(text)
            library.TessMonitorDelete(monitor)
            library.TessBaseAPIClear(handle)


def turned(picture: Any, dpi: int) -> int:
    """Return by how many quarter turns to the right the page must be turned to stand upright.

    0 as well where that cannot be told.
    """
    if not (_data() / f"{_ORIENTATION}.traineddata").is_file():
        return 0
    engine = Tesseract(_ORIENTATION)
    library, handle = engine._library, engine._handle  # noqa: SLF001  (same module)
    height, width = picture.shape
    degrees, script = ctypes.c_int(), ctypes.c_char_p()
    sure, script_sure = ctypes.c_float(), ctypes.c_float()
    try:
        library.TessBaseAPISetImage(handle, picture.tobytes(), width, height, 1, width)
        library.TessBaseAPISetSourceResolution(handle, dpi)
        found = library.TessBaseAPIDetectOrientationScript(
            handle,
            ctypes.byref(degrees),
            ctypes.byref(sure),
            ctypes.byref(script),
            ctypes.byref(script_sure),
        )
        # The angle is how far the page is turned to the left of upright.
        return (360 - degrees.value) % 360 // 90 if found and sure.value > _TURN_SURE else 0
    finally:
        engine.close()


def _parsed(text: str) -> list[Seen]:
    found = []
    for row in text.split("\n"):
        cells = row.split("\t")
        if len(cells) < 12 or cells[0] != "5" or not cells[11].strip():
            continue
        left, top, width, height = map(int, cells[6:10])
        found.append(
            Seen(
                cells[11].strip(),
                left,
                top,
                left + width,
                top + height,
                float(cells[10]),
                (int(cells[2]), int(cells[3]), int(cells[4])),
            )
        )
    return found


def _declared(library: Any) -> Any:
    """Return the library with the types of what is called; see its capi.h."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.TessBaseAPICreate.restype = pointer
    library.TessBaseAPIInit2.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p, number]
    library.TessBaseAPISetVariable.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p]
    library.TessBaseAPISetImage.argtypes = [pointer, ctypes.c_char_p, *[number] * 4]
    library.TessBaseAPISetImage.restype = None
    library.TessBaseAPISetPageSegMode.argtypes = [pointer, number]
    library.TessBaseAPISetPageSegMode.restype = None
    library.TessBaseAPISetSourceResolution.argtypes = [pointer, number]
    library.TessBaseAPISetSourceResolution.restype = None
    library.TessBaseAPIRecognize.argtypes = [pointer, pointer]
    library.TessBaseAPIGetTsvText.argtypes = [pointer, number]
    library.TessBaseAPIGetTsvText.restype = pointer
    library.TessBaseAPIDetectOrientationScript.argtypes = [pointer] * 5
    library.TessMonitorCreate.restype = pointer
    library.TessMonitorSetDeadlineMSecs.argtypes = [pointer, number]
    library.TessMonitorSetDeadlineMSecs.restype = None
    for name in ("Clear", "End", "Delete"):
        function = getattr(library, f"TessBaseAPI{name}")
        function.argtypes = [pointer]
        function.restype = None
    for name in ("TessMonitorDelete", "TessDeleteText"):
        function = getattr(library, name)
        function.argtypes = [pointer]
        function.restype = None
    return library
