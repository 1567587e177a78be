"""Values of cells as a spreadsheet shows them: dates, leading zeros, units (pure)."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

_TOKEN = re.compile(
    r"""(?ix) "(?P<quoted>[^"]*)" | \\(?P<escaped>.) | _. | \*. | \[(?P<bracket>[^\]]*)\]
    | (?P<general>general) | (?P<ampm>am/pm|a/p) | (?P<date>y+|m+|d+|h+|s+)
    | (?P<number>[0\#?][0\#?,.]*|\.[0\#?]+) | (?P<exponent>e[+-][0\#?]+) | (?P<other>.)"""
)
_LOCAL = "mm-dd-yy"
"""Code of dates that each country's program shows in its own way."""
_MOST_DIGITS = 30


def text(value: Any, code: str = "General") -> str:
    """Return a value in its number format.

    Args:
        value: As the file holds it: text, number, truth, date, time, duration or nothing.
        code: Excel's format code, `0.00` or `"E"000`.
    """
    shown = str(value)
    match value:
        case None:
            shown = ""
        case bool():
            shown = "TRUE" if value else "FALSE"
        case dt.datetime() | dt.date() | dt.time():
            shown = _date(value, code)
        case dt.timedelta():
            shown = _duration(value)
        case int() | float():
            shown = _number(value, code)
    return shown


def _section(code: str, value: float) -> tuple[str, float]:
    """Return the part of a code for the sign of a number, and the number to put into it."""
    parts = re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)
    if value < 0 and len(parts) > 1:
        return parts[1], -value
    if value == 0 and len(parts) > 2:
        return parts[2], value
    return parts[0], value


def _number(value: float, code: str) -> str:
    if not math.isfinite(value):
        return str(value)
    part, value = _section(code, value)
    tokens = list(_TOKEN.finditer(part))
    if not code or part.lower() in ("general", "@") or any(t["exponent"] for t in tokens):
        return _general(value)
    if any(token["other"] == "/" for token in tokens) and not any(t["date"] for t in tokens):
        return _general(value)  # a fraction
    percent = sum(1 for token in tokens if token["other"] == "%")
    number = abs(value) * 100**percent
    written: list[str] = []
    done = False
    for token in tokens:
        if token["number"] and not done:
            written.append(_digits(number, token["number"]))
            done = True
        elif token["general"]:
            written.append(_general(number))
            done = True
        else:
            written.append(_literal(token))
    if not done:
        return _general(value) if not "".join(written).strip() else "".join(written).strip()
    sign = "-" if value < 0 else ""
    return (sign + "".join(written)).strip()


def _literal(token: re.Match[str]) -> str:
    bracket = token["bracket"]
    if bracket and bracket.startswith("$"):
        return bracket[1:].split("-")[0]
    return token["quoted"] or token["escaped"] or token["other"] or token["date"] or ""


def _digits(value: float, form: str) -> str:
    whole, _, fraction = form.partition(".")
    scale = len(whole) - len(whole.rstrip(",")) if not fraction else 0
    value /= 1000**scale
    whole = whole.rstrip(",")
    places = min(len(fraction), _MOST_DIGITS)
    most = f"{value:.{places}f}"
    left, _, right = most.partition(".")
    least = whole.count("0")
    left = left.zfill(min(least, _MOST_DIGITS)) if least else left.lstrip("0")
    if "," in whole:
        left = f"{int(left or 0):,}".rjust(least, "0")
    keep = fraction.rstrip("#?")
    while right and len(right) > len(keep) and right.endswith("0"):
        right = right[:-1]
    return f"{left}.{right}" if right else left or "0"


def _general(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.10g}"


def _date(value: dt.datetime | dt.date | dt.time, code: str) -> str:
    tokens = list(_TOKEN.finditer(code.split(";", maxsplit=1)[0]))
    if code == _LOCAL or not any(token["date"] for token in tokens):
        return value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat()
    noon = any(token["ampm"] for token in tokens)
    written = []
    minutes = False
    for index, token in enumerate(tokens):
        name = (token["date"] or "").lower()
        if not name:
            written.append(_half(value) if token["ampm"] else _literal(token))
            continue
        following = next((t["date"].lower() for t in tokens[index + 1 :] if t["date"]), "")
        # `m` after hours or before seconds means minutes.
        if name[0] == "m" and len(name) < 3 and (minutes or following.startswith("s")):
            written.append(f"{getattr(value, 'minute', 0):0{len(name)}d}")
        else:
            written.append(_part(value, name, noon=noon))
        minutes = name[0] == "h"
    return "".join(written).strip()


def _part(value: Any, name: str, *, noon: bool) -> str:
    hour = getattr(value, "hour", 0)
    numbers = {
        "y": getattr(value, "year", 1900),
        "m": getattr(value, "month", 1),
        "d": getattr(value, "day", 1),
        "h": ((hour - 1) % 12 + 1) if noon else hour,
        "s": getattr(value, "second", 0),
    }
    if name[0] == "y":
        return f"{numbers['y']:04d}" if len(name) > 2 else f"{numbers['y'] % 100:02d}"
    if name[0] in "md" and len(name) > 2:
        form = {"mmm": "%b", "mmmm": "%B", "ddd": "%a", "dddd": "%A"}.get(name[:4], "%b")
        return str(value.strftime(form)) if isinstance(value, dt.date) else ""
    return f"{numbers[name[0]]:0{len(name)}d}"


def _half(value: Any) -> str:
    return "AM" if getattr(value, "hour", 0) < 12 else "PM"


def _duration(value: dt.timedelta) -> str:
    seconds = round(value.total_seconds())
    sign = "-" if seconds < 0 else ""
    seconds = abs(seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
