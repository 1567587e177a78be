"""The codes a question asks for, and the forms under which to look them up (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import replace

from schemas.retrieval import Search
from services.retriever.codes import Code, cell_code, codes
from services.retriever.normal import fold, loose_form, split
from services.retriever.readings import FAULT_WORD, NAMED, as_digits
from services.retriever.tokens import query_tokens

_FAULT_CODE = re.compile(r"(?:E|F|A|W|AL|ALM|ER|ERR|OC|OL|OV|UV|LU)\d{1,6}")
"""A code that stays one in a product's name: a paper may be named after it."""
_SURELY = re.compile(r"(?:E|F|ERR|ER|AL|ALM)\d{2,6}$|A\d{4,6}$")
"""Codes by their look alone."""
_DISPLAYED = re.compile(r"E\.[A-Z]{2}\d?", re.IGNORECASE)
"""What displays show, as typed: nothing else has such a point."""
_PRODUCT = re.compile(r"(?!ERR|ALM)[A-Z]{3}\d")
"""What may be a product's name that its fault's number follows: `ACS880 fault 2310`."""
_BEFORE = re.compile(
    rf"(?:{FAULT_WORD}|codes?|代码|message|shows?|showing|displays?|displaying|reports?|reporting|says|"
    rf"reads|with|报|显示|跳|提示|出现|parameters?|param|参数|register|寄存器|set|设置|change|修改)"
    rf"[^A-Za-z0-9\u4e00-\u9fff]{{0,4}}(?:(?:codes?|no\.?|number|is|代码|码|号|为|是)"
    rf"[^A-Za-z0-9\u4e00-\u9fff]{{0,3}})?$",
    re.IGNORECASE,
)
_AFTER = re.compile(rf"\W{{0,3}}(?:{FAULT_WORD}|代码|codes?|报错)", re.IGNORECASE)
_NUMBERED = re.compile(
    rf"\W{{0,3}}(?:{FAULT_WORD}|代码|codes?)\W{{0,3}}[A-Za-z]{{0,3}}\d", re.IGNORECASE
)
_IDLE = re.compile(
    r"\b(?:what|does|do|is|the|a|an|of|how|to|i|it|my|on|in|for|me|mean|means|meaning|fix|please|and|"
    r"about|tell|clear|reset|why|which|was|there|help|with)\b|是什么意思|什么意思|怎么办|怎么处理|怎么解决|"
    r"怎么回事|如何|怎么|什么|处理|请问|[的了吗呢是]",
    re.IGNORECASE,
)
_SAID = re.compile(r"[A-Za-z]+|[\u4e00-\u9fff]{1,2}")
NEAR, SHORT = 60, 120
"""Characters before a code that are looked at, and of a question that may ask for little more."""
LITTLE = 1
"""Other words of a question that asks for little more than the code."""
_DISPLAY = ("E", "AL", "ERR")
"""What displays put before a name: `E.OC1`, `AL.E9`."""
_HEX = re.compile(r"(?=\d+[A-F])\d[0-9A-F]{3,7}|(?=[A-F]\w*[A-F])(?=\w*\d)[A-F][0-9A-F]{5,7}")
"""A hexadecimal number without its mark; F30002 would be a fault's."""
_APART = re.compile(r"[A-Za-z]\.?[\s:#=]")
"""Stands in what is no code of letters and digits, but a word and a number."""
_CUT_SHORT = {"ERR": "E", "AL": "A"}
"""Prefixes that are words as well, and what stands for them before numbers."""
_PARAMETERS = ("P", "PR", "PAR", "$")
"""What stands before the numbers of parameters and settings."""
_PARAMETER = re.compile(r"par|setting|参数|功能码|參數|設定|设定|设置", re.IGNORECASE)
_FAMILIES = ("E", "F", "ERR", "AL", "A")
"""Prefixes of what people call `fault 18`; the one that the word tells goes first."""
_LONG = ("C", "N", "0X")
"""The same, of numbers with four digits or more."""
_TOLD = (
    (re.compile("fault|flt|trip|故障", re.IGNORECASE), "F"),
    (re.compile("alarm|warn|wrn|警|異常|异常", re.IGNORECASE), "A"),
    (re.compile("error|错误|錯誤|エラー", re.IGNORECASE), "E"),
)


def codes_asked(search: Search, names: Container[str]) -> list[Code]:
    """Return the codes asked for, the payload's own first; a product's name is none.

    Args:
        search: the question.
        names: tokens of titles and file names, lower case.
    """
    found: list[Code] = []
    if search.code:
        canonical = cell_code(search.code)
        # Of `ErrCode106` a manual may list no more than the number.
        if canonical and not NAMED.fullmatch(fold(search.code)):
            found.append(Code(canonical, search.code, 0))
        else:
            found += codes(search.code, loose=True)
    for code in codes(search.question, loose=True):
        if code.canonical.lower() not in names:
            found.append(replace(code, asked=_asked_for(code, search.question)))
        elif _FAULT_CODE.fullmatch(code.canonical):
            found.append(replace(code, certain=False))
    return found


def _asked_for(code: Code, question: str) -> bool:
    """Return whether a question asks for what looks like a code: machines have such names as well.

    `KX417 does not start` names a machine; `KX417`, `fault KX417` and `it shows KX417` ask for it.
    """
    if code.canonical[0] in "#0" or _SURELY.match(code.canonical) or _word_apart(code):
        return True
    if _DISPLAYED.fullmatch(fold(code.raw)):
        return True
    before, after = question[: code.start], question[code.end :]
    if _PRODUCT.match(code.canonical) and _NUMBERED.match(after):
        return False
    told = _BEFORE.search(before[-NEAR:]) or (code.canonical[0] in "EFAWCN" and _AFTER.match(after))
    if told or len(before) + len(after) > SHORT:
        return bool(told)
    return len(_SAID.findall(_IDLE.sub(" ", f"{before} {after}"))) <= LITTLE


def forms(code: Code) -> tuple[str, ...]:
    """Return the loose forms of a code, the likeliest first.

    One that comes later counts only in a document that has none before: `E.OC1` where a manual
    lists `OC1`, `fault 18` where it lists `F18`.
    """
    loose = code.loose
    letters, rest = split(loose)
    if loose[0] == "#":
        told = [family for pattern, family in _TOLD if pattern.search(code.raw)]
        families = dict.fromkeys((*told, *_FAMILIES))
        if len(rest) > 3:
            families |= dict.fromkeys(_LONG)
        return (loose, *(f"{family}{rest}" for family in families))
    if loose.startswith("0X"):
        return (loose, f"#{loose[2:]}") if loose[2:].isdigit() else (loose,)
    found = [loose]
    if marked := hexadecimal(code):
        found.append(marked)
    if letters == "ERR" or _word_apart(code) or worded(code):
        return _by_word(code, letters, rest)
    for display in _DISPLAY:
        name = letters.removeprefix(display)
        if name != letters and (len(name) > 1 or (name and display != "E")):
            found.append(f"{name}{rest}")
    if len(letters) > 1 and loose not in found[1:]:
        found.append(f"E{loose}")
    if letters in ("E", "F"):
        found.append(f"AL{loose}")
    return tuple(dict.fromkeys(found))


def hexadecimal(code: Code) -> str:
    """Return the loose form of a code that is a hexadecimal number without its mark, else empty."""
    return loose_form(f"0X{code.canonical}") if _HEX.fullmatch(code.canonical) else ""


def _by_word(code: Code, letters: str, rest: str) -> tuple[str, ...]:
    """Return the forms of a code whose letters are a word, cut short or not."""
    if letters in _PARAMETERS and worded(code):
        return tuple(f"{one}{rest}" for one in _PARAMETERS)
    if _word_apart(code):
        return (code.loose, f"#{rest}", f"{_CUT_SHORT[letters]}{rest}")
    return (code.loose,)


def worded(code: Code) -> bool:
    """Return whether a word beside a number says what it is: surely a code where a manual has it.

    `parameter 7` and `alram 7` may be meant otherwise where none has.
    """
    if code.canonical[0] == "#":
        return not code.raw.isdigit()
    if NAMED.fullmatch(fold(code.raw)):
        return True
    return code.canonical[0] == "P" and _PARAMETER.match(code.raw) is not None


def is_number(code: Code) -> bool:
    """Return whether a code is a number alone, or one with no more than a word for any fault."""
    return code.canonical[0] == "#" or _word_apart(code)


def in_turn(asked: Iterable[Code]) -> dict[str, int]:
    """Return the places of codes of one sort that are asked for one after another.

    By loose form. `F30002 and F30003` are; `P1` beside `F30002` may be no more than a detail.
    """
    loose = list(dict.fromkeys(code.loose for code in asked))
    sort = split(loose[0])[0] if loose else ""
    same = [form for form in loose if split(form)[0] == sort]
    return {form: place for place, form in enumerate(same)}


def without(question: str, asked: Iterable[Code]) -> str:
    """Return a question without the numbers that are asked for, and the words they come with."""
    for code in asked:
        if is_number(code) and code.raw:
            question = question.replace(code.raw, " ")
    return question.strip()


def spellings(code: Code) -> tuple[str, ...]:
    """Return the canonical forms that are the code as typed: `err 9` is ERR9 as well as #9."""
    if not _word_apart(code):
        return (code.canonical,)
    return (code.canonical, f"#{code.canonical.lstrip('ERALM')}")


def _word_apart(code: Code) -> bool:
    """Return whether a code is a word and a number rather, as in `err 9` and `alm: 9`."""
    letters, rest = split(code.loose)
    return letters in _CUT_SHORT and rest.isdigit() and _APART.search(code.raw) is not None


def forgiving(found: Iterable[Code]) -> list[str]:
    """Return the loose forms of some codes, each once."""
    return list(dict.fromkeys(form for code in found for form in forms(code)))


def respelt(code: Code) -> tuple[str, ...]:
    """Return loose forms of a code that no manual has as it was typed, the likeliest first.

    A letter O for a zero, separators left out or put elsewhere: `P017`, `P01-7` for `P0.17`.
    """
    canonical = code.canonical
    letters, rest = split(canonical)
    spelt = [as_digits(canonical)]
    digits = rest.replace(".", "")
    if letters and digits.isdigit():
        if digits[0] != "0":  # else it would be the loose form of many
            spelt.append(letters + digits)
        spelt += [f"{letters}{digits[:n]}.{digits[n:]}" for n in range(1, min(len(digits), 4))]
    return tuple(dict.fromkeys(form for s in spelt if (form := loose_form(s)) != code.loose))


def outermost(found: Sequence[Code], known: Collection[Code]) -> list[Code]:
    """Return the codes but those that are part of a longer one a manual has: `F3` in `F3 0002`."""
    return [
        code
        for code in found
        if not any(
            other.start <= code.start and code.end <= other.end and len(other.raw) > len(code.raw)
            for other in known
        )
    ]


def spelt(codes: Sequence[Code]) -> set[str]:
    """Return the tokens that are codes, or parts of one: they are found by the code index."""
    found = {form.lower() for code in codes for form in (code.canonical, code.loose)}
    return found.union(*(query_tokens(code.raw) for code in codes if code.certain))
