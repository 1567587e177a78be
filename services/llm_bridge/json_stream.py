"""JSON read as it is written: what is known is told at once, in whatever pieces it comes (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NoReturn

Path = tuple[str | int, ...]
"""Keys and positions from the root to a value."""

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BLANK = " \t\r\n"
_WORD = re.compile(r"true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Event:
    """Something the text told."""

    kind: Literal["text", "end", "word", "close"]
    """A piece of a string, its end, a number or other literal, the end of an object or array."""
    path: Path
    """Of the value."""
    text: str = ""
    """The characters of `text` and `word`."""


@dataclass(slots=True)
class _Frame:
    """An object or array that is open."""

    sign: Literal["{", "["]
    at: str | int
    """Key or position of the value being read."""


class JsonStream:
    """A parser of one object that text is pushed into.

    Text before the first `{` is passed over (some models greet, or open a code fence), and so is
    everything after the object's end. A lone half of a surrogate pair becomes U+FFFD.
    """

    def __init__(self) -> None:
        self.complete = False
        """Whether the object has ended."""
        self._frames: list[_Frame] = []
        self._state: Callable[[str], None] = self._before
        self._events: list[Event] = []
        self._in_key = False
        self._text = ""  # of the string being read, as far as it was not told yet
        self._digits = ""  # of the escape being read
        self._high = ""  # first half of a surrogate pair, waiting for the second
        self._literal = ""

    def feed(self, text: str) -> list[Event]:
        """Return what this piece tells.

        Raises:
            ValueError: the text is not JSON.
        """
        self._events = []
        for sign in text:
            self._state(sign)
        self._tell_text()
        return self._events

    @property
    def _path(self) -> Path:
        return tuple(frame.at for frame in self._frames)

    def _tell_text(self) -> None:
        if self._text and not self._in_key:
            self._events.append(Event("text", self._path, self._text))
            self._text = ""

    # One method a state; each takes one character.

    def _before(self, sign: str) -> None:
        if sign == "{":
            self._open("{")

    def _after(self, _sign: str) -> None:
        pass

    def _key_or_end(self, sign: str) -> None:
        if sign == "}":
            self._close("{")
        else:
            self._key(sign)

    def _key(self, sign: str) -> None:
        if sign == '"':
            self._in_key, self._text, self._state = True, "", self._string
        else:
            self._blank(sign, "a key")

    def _colon(self, sign: str) -> None:
        if sign == ":":
            self._state = self._value
        else:
            self._blank(sign, "a colon")

    def _value_or_end(self, sign: str) -> None:
        if sign == "]":
            self._close("[")
        else:
            self._value(sign)

    def _value(self, sign: str) -> None:
        if sign == '"':
            self._in_key, self._text, self._state = False, "", self._string
        elif sign in "{[":
            self._open("{" if sign == "{" else "[")
        elif sign == "-" or (sign.isascii() and sign.isalnum()):
            self._literal, self._state = sign, self._in_literal
        else:
            self._blank(sign, "a value")

    def _in_literal(self, sign: str) -> None:
        if sign in "+-." or (sign.isascii() and sign.isalnum()):
            self._literal += sign
            return
        if not _WORD.fullmatch(self._literal):
            self._fail(self._literal, "a number, true, false or null")
        self._events.append(Event("word", self._path, self._literal))
        self._state = self._comma
        self._comma(sign)

    def _comma(self, sign: str) -> None:
        frame = self._frames[-1]
        if sign == ",":
            if isinstance(frame.at, int):
                frame.at += 1
                self._state = self._value
            else:
                self._state = self._key
        elif sign in "}]":
            self._close("{" if sign == "}" else "[")
        else:
            self._blank(sign, "a comma")

    def _string(self, sign: str) -> None:
        if sign == "\\":
            self._state = self._escape
        elif sign == '"':
            self._end_string()
        else:
            self._take(sign)

    def _escape(self, sign: str) -> None:
        self._state = self._string
        if sign == "u":
            self._digits, self._state = "", self._unicode
        elif sign in _ESCAPES:
            self._take(_ESCAPES[sign])
        else:
            self._fail(sign, "an escape")

    def _unicode(self, sign: str) -> None:
        if sign not in "0123456789abcdefABCDEF":
            self._fail(sign, "a hexadecimal digit")
        self._digits += sign
        if len(self._digits) == 4:
            self._state = self._string
            self._take(chr(int(self._digits, 16)))

    def _take(self, sign: str) -> None:
        """Add a character to the string; halves of surrogate pairs wait for each other."""
        if self._high and "\udc00" <= sign <= "\udfff":
            code = 0x10000 + ((ord(self._high) - 0xD800) << 10) + (ord(sign) - 0xDC00)
            self._high, sign = "", chr(code)
        self._give_up_high()
        if "\ud800" <= sign <= "\udbff":
            self._high = sign
        else:
            self._text += _UNKNOWN if "\udc00" <= sign <= "\udfff" else sign

    def _give_up_high(self) -> None:
        if self._high:
            self._text += _UNKNOWN
            self._high = ""

    def _end_string(self) -> None:
        self._give_up_high()
        if self._in_key:
            self._frames[-1].at, self._text = self._text, ""
            self._in_key, self._state = False, self._colon
        else:
            self._tell_text()
            self._events.append(Event("end", self._path))
            self._state = self._comma

    def _open(self, sign: Literal["{", "["]) -> None:
        self._frames.append(_Frame(sign, "" if sign == "{" else 0))
        self._state = self._key_or_end if sign == "{" else self._value_or_end

    def _close(self, sign: Literal["{", "["]) -> None:
        if self._frames[-1].sign != sign:
            self._fail("}" if sign == "{" else "]", "the other bracket")
        self._frames.pop()
        self._events.append(Event("close", self._path))
        self.complete = not self._frames
        self._state = self._after if self.complete else self._comma

    def _blank(self, sign: str, expected: str) -> None:
        if sign not in _BLANK:
            self._fail(sign, expected)

    def _fail(self, found: str, expected: str) -> NoReturn:
        where = ".".join(str(step) for step in self._path)
        raise ValueError(f"at {where or 'the beginning'}: found {found!r}, expected {expected}")
