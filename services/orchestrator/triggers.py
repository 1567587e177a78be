"""A message from a machine becomes a Fault: topic and payload in, no clock, no socket (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from schemas.answers import Language
from schemas.channels import ASKED
from schemas.faults import Fault, Priority
from services.orchestrator.language import language_of
from services.runtime.config import Trigger
from services.runtime.errors import Rejected

_WORDS: dict[str, Priority] = {
    **dict.fromkeys(
        ("critical", "emergency", "fatal", "high", "major", "error", "alarm"), "critical"
    ),
    **dict.fromkeys(("warning", "warn", "medium", "minor"), "warning"),
    **dict.fromkeys(("advice", "advisory", "info", "low", "notice", "debug"), "advice"),
    **dict.fromkeys(("严重", "紧急", "故障", "报警"), "critical"),
    **dict.fromkeys(("警告", "预警"), "warning"),
    **dict.fromkeys(("提示", "信息"), "advice"),
}
"""Severities as machines write them; a trigger's `priorities` come first."""

_CODE_ALONE = re.compile(
    r"[A-Za-z]{0,5}[-. _]?\d{1,6}(?:[-.]\d{1,3})?|[A-Za-z]{1,3}[-.][A-Za-z0-9]{1,5}"
)
_CODE_FIRST = re.compile(r"([A-Za-z]{1,5}[-. ]?\d{1,6})\s*[:：,，;；-]\s*(\S.*)", re.DOTALL)
_HOLE = re.compile(r"\{([^{}]*)\}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_FORBIDDEN = re.compile(r"[+#\x00]")
_MAX_TEXT = 4000
_MAX_CODE = 64
_MAX_ASSET = 256
_QUESTIONS: dict[Language, tuple[str, str]] = {
    "en": ("Fault {code}", "Fault {code}: {text}"),
    "zh": ("故障 {code}", "故障 {code}：{text}"),
}


def read(
    trigger: Trigger, topic: str, payload: bytes, *, lang: Language, received: str, trace: str = ""
) -> Fault:
    """Return the fault a message reports.

    An empty payload (how MQTT takes back what was retained) and the bare number 0 (a fault
    register gone back to rest) mean that the asset's faults are gone.

    Args:
        trigger: the trigger whose filter the topic matched.
        topic: where the message came.
        payload: JSON object, plain text or number, UTF-8.
        lang: language of the answer where neither trigger nor text says one.
        received: RFC 3339 UTC.
        trace: W3C trace id.

    Raises:
        Rejected: not decodable, or nothing in it that says what is wrong.
    """
    content = _decode(payload)
    fields: Mapping[str, Any] = content if isinstance(content, dict) else {}
    if isinstance(content, dict):
        code = _code(_first(content, trigger.code))
        text = _text(_first(content, trigger.text))
        cleared = _cleared(trigger, content)
    elif isinstance(content, str) and not _CODE_ALONE.fullmatch(content):
        parts = _CODE_FIRST.fullmatch(content)
        code, text = parts.groups() if parts else ("", content)
        text, cleared = text[:_MAX_TEXT], not content
    else:
        code, text = _code(content), ""
        cleared = code == "0"
    code = "" if cleared and code == "0" else code
    if not (code or text or cleared or trigger.question):
        raise Rejected(
            "read fault",
            f"no code and no text; the payload has {', '.join(list(fields)[:10]) or 'nothing'}",
            "name the fields with `code:` and `text:` of the trigger",
        )
    asset = _asset(trigger, topic, fields)
    spoken = trigger.lang or language_of(text, lang)
    known = {"asset": asset, "code": code, "text": text}
    if trigger.question:
        question = _fill(trigger.question, topic, {**fields, **known}).strip()
    elif code:
        question = _QUESTIONS[spoken][bool(text)].format(code=code, text=text)
    else:
        question = text
    return Fault(
        asset=asset,
        code=code,
        text=text,
        question=question or text or code,
        lang=spoken,
        priority=_priority(trigger, fields),
        state="cleared" if cleared else "active",
        topic=topic,
        received=received,
        trace=trace,
    )


def _decode(payload: bytes) -> dict[str, Any] | str | int | float:
    """Return a JSON object, a number, or text."""
    try:
        text = payload.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise Rejected(
            "read fault", f"not UTF-8: {error}", "publish JSON or plain text as UTF-8"
        ) from error
    if _CONTROL.sub("", text) == "" != text:
        raise Rejected("read fault", "only control characters", "publish JSON or plain text")
    looks_json = text.startswith(("{", "[", '"')) or text in {"true", "false", "null"}
    try:
        content = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        if looks_json:
            raise Rejected("read fault", f"not JSON: {error}") from error
        return _CONTROL.sub(" ", text)
    if isinstance(content, str):
        return _CONTROL.sub(" ", content).strip()
    if isinstance(content, dict) or (
        isinstance(content, int | float) and not isinstance(content, bool)
    ):
        # 007 is no JSON number and comes as text, with its zeros.
        return content
    raise Rejected(
        "read fault",
        f"a JSON {type(content).__name__}, not an object, text or number",
        "publish an object with a code or a text",
    )


def _at(fields: Any, path: str) -> Any:
    """Return the value at a dotted path, None where there is none; digits index arrays."""
    if isinstance(fields, Mapping) and path in fields:
        return fields[path]
    for step in path.split("."):
        if isinstance(fields, Mapping):
            fields = fields.get(step)
        elif isinstance(fields, Sequence) and not isinstance(fields, str) and step.isdecimal():
            fields = fields[int(step)] if int(step) < len(fields) else None
        else:
            return None
    return fields


def _first(fields: Mapping[str, Any], paths: Sequence[str]) -> Any:
    """Return the first value that says something; true and false are not codes or words."""
    found = (_at(fields, path) for path in paths)
    return next(
        (
            v
            for v in found
            if isinstance(v, str | int | float) and not isinstance(v, bool) and v != ""
        ),
        None,
    )


def _code(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    code = _CONTROL.sub("", str(value)).strip()
    if len(code) > _MAX_CODE:
        raise Rejected("read fault", f"the code has {len(code)} characters, at most {_MAX_CODE}")
    return code


def _text(value: Any) -> str:
    return "" if value is None else _CONTROL.sub(" ", str(value)).strip()[:_MAX_TEXT]


def _cleared(trigger: Trigger, fields: Mapping[str, Any]) -> bool:
    found = (_at(fields, path) for path in trigger.state)
    value = next((v for v in found if isinstance(v, str | int | float)), None)
    return value is not None and str(value).strip().lower() in trigger.cleared


def _priority(trigger: Trigger, fields: Mapping[str, Any]) -> Priority:
    value = _first(fields, trigger.severity)
    word = str(value).strip().lower()
    return trigger.priorities.get(word) or _WORDS.get(word) or trigger.priority


def _asset(trigger: Trigger, topic: str, fields: Mapping[str, Any]) -> str:
    if trigger.asset:
        asset = _fill(trigger.asset, topic, fields).strip("/ ")
    else:
        asset = topic.rpartition("/")[0] or topic
    hint = "look at `asset:` of the trigger"
    if not asset or _FORBIDDEN.search(asset) or len(asset) > _MAX_ASSET:
        raise Rejected("read fault", f"asset {asset[:80]!r} does not make a topic", hint)
    if asset.startswith(ASKED):
        raise Rejected("read fault", f"assets under {ASKED!r} are kept for questions", hint)
    return asset


def _fill(template: str, topic: str, fields: Mapping[str, Any]) -> str:
    """Put topic levels (`{1}` is the first) and values of the payload into a template."""
    levels = topic.split("/")

    def value(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name.isdecimal() and name not in fields:
            return levels[int(name) - 1] if 0 < int(name) <= len(levels) else ""
        found = _at(fields, name)
        return "" if found is None else _CONTROL.sub(" ", str(found))[:_MAX_TEXT]

    return _HOLE.sub(value, template)
