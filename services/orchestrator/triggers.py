"""A message from a machine becomes a Fault: topic and payload in, no clock, no socket (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.answers import Language
from schemas.channel import topic_trouble
from schemas.channels import ASKED
from schemas.faults import Fault, Priority
from services.orchestrator.births import Told, Values
from services.orchestrator.fields import (
    CONTROL,
    MAX_TEXT,
    at,
    checked,
    code_of,
    fill,
    first,
    holes,
    text_of,
)
from services.orchestrator.language import language_of
from services.orchestrator.sparkplug import Address
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
_MAX_ASSET = 256
_MAX_LEVELS = 32
_REST = ("", "")
_QUESTIONS: dict[Language, tuple[str, str]] = {
    "en": ("Fault {code}", "Fault {code}: {text}"),
    "zh": ("故障 {code}", "故障 {code}：{text}"),
}


def question_about(code: str, text: str, lang: Language) -> str:
    """Return what the manuals are asked about a code; text is the machine's own, or empty."""
    return _QUESTIONS[lang][bool(text)].format(code=code, text=text)


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
        code = checked(code_of(first(content, trigger.code)))
        text = text_of(first(content, trigger.text))
        cleared = _cleared(trigger, content) or (code == "0" and not text)
    elif isinstance(content, str) and not _CODE_ALONE.fullmatch(content):
        parts = _CODE_FIRST.fullmatch(content)
        code, text = parts.groups() if parts else ("", content)
        text, cleared = text[:MAX_TEXT], not content
    else:
        code, text = checked(code_of(content)), ""
        cleared = code == "0"
    code = "" if cleared and code == "0" else code
    if not (code or text or cleared or trigger.question):
        raise Rejected(
            "read fault",
            f"no code and no text; the payload has {', '.join(list(fields)[:10]) or 'nothing'}",
            "name the fields with `code:` and `text:` of the trigger",
        )
    return _fault(
        trigger,
        topic,
        fields,
        code=code,
        text=text,
        cleared=cleared,
        lang=lang,
        received=received,
        trace=trace,
    )


def metrics_of(trigger: Trigger) -> set[str]:
    """Return the names of the Sparkplug metrics a trigger speaks of."""
    named = holes(trigger.asset + trigger.question)
    return set(named).union(trigger.code, trigger.text, trigger.severity, trigger.state)


def read_metrics(
    trigger: Trigger,
    topic: str,
    address: Address,
    told: Told,
    *,
    lang: Language,
    received: str,
    trace: str = "",
) -> tuple[Fault, bool] | None:
    """Return the fault that stands on a Sparkplug device, and whether it came just now.

    A message without any of the trigger's metrics, or that changes none of them, tells nothing:
    None. A birth tells how things stand, not that something happened. Code 0 and the empty code
    (without a code metric: the empty text) mean that the asset's faults are gone.

    Args:
        trigger: the trigger whose filter the topic matched.
        topic: where the message came.
        address: what that topic says.
        told: what the message says.
        lang: language of the answer where neither trigger nor text says one.
        received: RFC 3339 UTC.
        trace: W3C trace id.

    Raises:
        Rejected: the code is too long, or the asset makes no topic.
    """
    news = dict(told.news)
    if not news.keys() & {*trigger.code, *trigger.text, *trigger.state}:
        return None
    before = _situation(trigger, told.before, born=told.born)
    now = _situation(trigger, told.now, born=told.born)
    if now is None or (now == before and not told.birth):
        return None
    code, _ = now
    # Words sent earlier with another code are not this one's.
    words = told.now if news.keys().isdisjoint(trigger.code) else news
    fault = _fault(
        trigger,
        topic,
        told.now,
        code=checked(code),
        text=text_of(first(words, trigger.text)),
        cleared=now == _REST,
        lang=lang,
        received=received,
        trace=trace,
        place=address.asset,
    )
    return fault, before is not None and not told.birth


def _situation(trigger: Trigger, values: Values, *, born: bool) -> tuple[str, str] | None:
    """Return the code that stands, or the text where no metric is a code; None: not known."""
    said = {name: value for name, value in values.items() if not isinstance(value, bool)}
    codes = [said[name] for name in trigger.code if name in said]
    # Before the birth nobody knows whether there is a code, and that the text is only its words.
    texts = [said[name] for name in trigger.text if name in said and born]
    known = [value for value in codes or texts if value is not None]
    if not known:
        return None
    if _cleared(trigger, values):
        return _REST
    if not codes:
        return "", next(filter(None, map(text_of, known)), "")
    standing = next((code for code in map(code_of, known) if code.strip("0")), "")
    # A code whose value is lost may stand as before.
    return None if not standing and None in codes else (standing, "")


def _fault(
    trigger: Trigger,
    topic: str,
    fields: Mapping[str, Any],
    *,
    code: str,
    text: str,
    cleared: bool,
    lang: Language,
    received: str,
    trace: str,
    place: str = "",
) -> Fault:
    asset = _asset(trigger, topic, fields, place)
    spoken = trigger.lang or language_of(text, lang)
    known = {"asset": asset, "code": code, "text": text}
    if trigger.question:
        question = fill(trigger.question, topic, {**fields, **known}).strip()
    elif code:
        question = question_about(code, text, spoken)
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
    if CONTROL.sub("", text) == "" != text:
        raise Rejected("read fault", "only control characters", "publish JSON or plain text")
    looks_json = text.startswith(("{", "[", '"')) or text in {"true", "false", "null"}
    try:
        content = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        if looks_json:
            raise Rejected("read fault", f"not JSON: {error}") from error
        return CONTROL.sub(" ", text)
    if isinstance(content, str):
        return CONTROL.sub(" ", content).strip()
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


def _cleared(trigger: Trigger, fields: Mapping[str, Any]) -> bool:
    found = (at(fields, path) for path in trigger.state)
    value = next((v for v in found if isinstance(v, str | int | float)), None)
    return value is not None and str(value).strip().lower() in trigger.cleared


def _priority(trigger: Trigger, fields: Mapping[str, Any]) -> Priority:
    value = first(fields, trigger.severity)
    word = str(value).strip().lower()
    return trigger.priorities.get(word) or _WORDS.get(word) or trigger.priority


def _asset(trigger: Trigger, topic: str, fields: Mapping[str, Any], place: str) -> str:
    if trigger.asset:
        asset = fill(trigger.asset, topic, fields).strip("/ ")
    else:
        asset = place or topic.rpartition("/")[0] or topic
    hint = "look at `asset:` of the trigger"
    why = topic_trouble(asset)
    if why or len(asset) > _MAX_ASSET or asset.count("/") >= _MAX_LEVELS:
        why = why or f"more than {_MAX_ASSET} characters or {_MAX_LEVELS} levels"
        raise Rejected("read fault", f"asset {asset[:80]!r} makes no topic: {why}", hint)
    if asset.startswith(ASKED):
        raise Rejected("read fault", f"assets under {ASKED!r} are kept for questions", hint)
    return asset
