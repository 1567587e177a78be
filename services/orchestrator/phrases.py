"""The few words Andon says itself, in the languages it answers in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.answers import Language


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language's words."""

    causes: str
    actions: str
    reaction: str
    notes: str
    also: str
    related: str
    nothing: str
    unknown: str
    """With `{codes}`."""
    stranger: str
    """Said instead where it is that of a `{maker}` nobody has a manual of."""
    near: str
    """Said after it, with `{codes}` that some manual has."""
    only: str
    """Said when the manuals have it in the other language only."""
    unsupported: str
    """Heads what a model said without the manuals."""
    mark: str
    """Stands before each such sentence."""
    quoted: str
    """Behind a title: what stands below is quoted in the other language."""
    original: str
    """Heads running text that is quoted in the other language."""
    named: str
    """A fault's `{name}` in the language of the answer, with the one that is `{quoted}`."""
    several: str
    """Said when the code is listed more than once, with different meanings."""
    labels: Mapping[str, str]
    """What a manual in the other language prints before a value, and what that is here."""
    colon: str
    stop: str
    comma: str


_PHRASES: dict[Language, Phrases] = {
    "en": Phrases(
        causes="Causes",
        actions="Actions",
        reaction="Reaction",
        notes="Notes",
        also="Also listed",
        related="Related text",
        nothing="Not found in the manuals.",
        unknown="No manual lists fault code {codes}.",
        stranger="No manual of {maker} is loaded.",
        near=" Did you mean {codes}?",
        only="Only found in Chinese.",
        unsupported="Said by the language model, not by the manuals",
        mark="[not in the manuals]",
        quoted=" (in the manual's words, Chinese)",
        original="In the manual's words, Chinese:",
        named="{name} ({quoted})",
        several="The manuals list this code more than once, with different meanings.",
        labels={
            "应答": "Acknowledge",
            "确认": "Acknowledge",
            "出厂值": "Factory setting",
            "出厂设定": "Factory setting",
            "默认值": "Default",
            "设定范围": "Setting range",
            "最小值": "Min",
            "最大值": "Max",
            "单位": "Unit",
        },
        colon=": ",
        stop=".",
        comma=", ",
    ),
    "zh": Phrases(
        causes="可能原因",
        actions="处理方法",
        reaction="反应",
        notes="备注",
        also="另有记载",
        related="相关内容",
        nothing="手册中没有找到相关内容。",
        unknown="手册中没有故障代码 {codes}。",
        stranger="没有 {maker} 的手册。",
        near="您要找的是不是 {codes}？",
        only="仅有英文资料。",
        unsupported="语言模型所说，手册中没有依据",
        mark="［手册中未见］",
        quoted="（手册原文，英文）",
        original="手册原文，英文：",
        named="{name}（{quoted}）",
        several="手册中该代码出现多次，含义不同。",
        labels={
            "acknowledge": "应答",
            "acknowledgement": "应答",
            "factory setting": "出厂设置",
            "default": "默认值",
            "setting range": "设定范围",
            "range": "范围",
            "min": "最小值",
            "max": "最大值",
            "unit": "单位",
            "access level": "访问级别",
            "data type": "数据类型",
            "can be changed": "可更改",
            "func. diagram": "功能图",
            "dependency": "相关参数",
            "value": "数值",
            "note": "备注",
            "notice": "注意",
            "caution": "小心",
        },
        colon="：",
        stop="。",
        comma="、",
    ),
}


def phrases(lang: Language) -> Phrases:
    """Return the words of a language."""
    return _PHRASES[lang]
