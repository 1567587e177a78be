"""What a reader is told of how an answer came about, in both languages (pure)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.answers import Answer, Language
from schemas.retrieval import Hit
from services.runtime.errors import AndonError

_NOTES: dict[str, dict[Language, str]] = {
    "no_model": {
        "en": "Taken from the manuals directly; no language model is available.",
        "zh": "直接摘自手册；当前没有可用的语言模型。",
    },
    "late": {
        "en": "Taken from the manuals directly; it waited longer than its deadline.",
        "zh": "直接摘自手册；等待时间超过了期限。",
    },
    "busy": {
        "en": "Taken from the manuals directly; too many others waited for the language model.",
        "zh": "直接摘自手册；等待语言模型的问题过多。",
    },
    "cleared": {
        "en": "Taken from the manuals directly; the alarm was gone before the language model had"
        " answered.",
        "zh": "直接摘自手册；语言模型作答之前报警已消除。",
    },
    "model_failed": {
        "en": "Taken from the manuals directly; the language model gave no answer: {reason}.",
        "zh": "直接摘自手册；语言模型没有给出答案：{reason}。",
    },
    "model_slow": {
        "en": "Taken from the manuals directly; the language model was not ready in time.",
        "zh": "直接摘自手册；语言模型未能在期限内作答。",
    },
    "not_grounded": {
        "en": "The language model's answer does not stand on the manuals ({stand} of {all}"
        " statements do); their own words are beside it, and on displays.",
        "zh": "语言模型的回答缺乏手册依据（{all} 句中 {stand} 句有依据）；手册原文附在其旁，"
        "并显示在终端上。",
    },
    "doubts": {
        "en": "{doubts} of the language model's {all} statements are not in the manuals and are"
        " marked so.",
        "zh": "语言模型的 {all} 句回答中有 {doubts} 句手册中没有依据，已标出。",
    },
    "no_retriever": {
        "en": "The manuals could not be searched in time: the search service is away.",
        "zh": "未能及时检索手册：检索服务不可用。",
    },
    "elsewhere": {
        "en": "Not in this machine's manuals; from {title}.",
        "zh": "本机手册中没有此内容；摘自《{title}》。",
    },
    "incomplete": {
        "en": "Manuals are being read again just now; an alarm that stands is answered anew when"
        " they are back.",
        "zh": "手册正在重新读取；读取完成后，仍然存在的报警会得到新的答案。",
    },
    "reading": {
        "en": "Manuals are still being read ({count}): what is not found may be in one of them.",
        "zh": "仍有手册正在读取（{count} 份），未找到的内容可能在其中。",
    },
    "no_asset": {
        "en": "No document is assigned to {asset}: all manuals were searched.",
        "zh": "没有文档分配给 {asset}：已检索全部手册。",
    },
    "known": {
        "en": "Known: {names}.",
        "zh": "已知：{names}。",
    },
    "unreadable": {
        "en": "The question could not be read: {reason}.",
        "zh": "无法读取该问题：消息不是有效的 JSON 或纯文本；详情见日志。",
    },
    "failed": {
        "en": "No answer could be made because of an internal error; the log says more.",
        "zh": "由于内部错误未能生成答案；详情见日志。",
    },
    "search_failed": {
        "en": "The manuals could not be searched: the search service refused the question.",
        "zh": "无法检索手册：检索服务拒绝了该问题。",
    },
}


_KINDS_ZH = {
    "unavailable": "其服务不可用",
    "deadline": "其响应超时",
    "rejected": "其拒绝了该请求",
    "retryable": "其出错或输出无效",
}
"""Why a model gave no answer, by the kind of the error."""
_INTERNAL: dict[Language, str] = {"en": "an internal error", "zh": "内部错误"}


def note(key: str, lang: Language) -> str:
    """Return the note of that name."""
    return _NOTES[key][lang]


def model_failed(lang: Language, error: AndonError | None = None) -> str:
    """Return the note that the model gave no answer.

    An error says in English what happened. Who reads Chinese is told its kind, the
    log has the rest.

    Args:
        lang: of the note.
        error: what went wrong; None: something inside of Andon.
    """
    if error is not None and lang == "en":
        reason = error.reason
    elif error is not None:
        reason = _KINDS_ZH.get(error.kind, _KINDS_ZH["retryable"])
    else:
        reason = _INTERNAL[lang]
    return _NOTES["model_failed"][lang].format(reason=reason)


def sourced(answer: Answer, hits: Sequence[Hit]) -> Answer:
    """Return an answer that says so where it stands on no manual of its machine.

    That is one found after the machine's own manuals had nothing, or one that belongs to other
    machines. A manual that belongs to none is everybody's.

    Args:
        answer: the answer, not told so yet.
        hits: the passages it may cite.
    """
    if not answer.citations or not answer.asset:
        return answer
    doc_id = answer.citations[0].doc_id
    of_others = any(hit.document.doc_id == doc_id and hit.document.assets for hit in hits)
    if answer.scope == "asset" or (answer.scope == "all" and not of_others):
        return answer
    said = _elsewhere(answer)
    return msgspec.structs.replace(
        answer, text=f"{said}\n\n{answer.text}", note=join(said, answer.note)
    )


def is_elsewhere(answer: Answer) -> bool:
    """Return whether an answer says that it stands on no manual of its machine."""
    return bool(answer.citations) and _elsewhere(answer) in answer.note


def _elsewhere(answer: Answer) -> str:
    first = answer.citations[0]
    return note("elsewhere", answer.lang).format(title=first.document or first.file)


def join(*notes: str) -> str:
    """Return several notes as one."""
    return " ".join(part for part in notes if part)
