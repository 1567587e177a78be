"""Text to search tokens (pure): words, stems, CJK bigrams, numbers, codes.

The same function serves passages and questions, so that what is indexed can be found. Tokens
hold no white space and are stored joined by single spaces; the FTS5 table splits at spaces only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from services.retriever.codes import Code, codes, fold, loose_form

__all__ = [
    "Code",
    "codes",
    "is_cjk",
    "language",
    "query_tokens",
    "running_tokens",
    "stem",
    "tells",
    "tokens",
]

_CJK = (
    "\u3005\u3006\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(
    rf"(?P<cjk>[{_CJK}]+)"
    r"|(?P<number>\d+(?:[.,]\d+)+|\d+)"
    rf"|(?P<word>(?:(?![{_CJK}])[^\W_])(?:(?![{_CJK}])[^\W_]|')*)"
)
_HYPHENED = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2,})-([A-Za-z]{2,})(?![A-Za-z0-9])")
_LETTERS_DIGITS = re.compile(
    r"(?<![A-Za-z0-9])(?:([A-Za-z]{1,6})[\-.]?|([A-Z]{2,4}) )(\d{1,5})(?![A-Za-z0-9])"
)
_BIT = re.compile(r"(?<![A-Za-z0-9])(?i:bit)[ .\-_]?0?(\d{1,2})(?![0-9a-z])")
"""The bit of a status word, with its meaning glued to it or not."""
_ASKING = re.compile(
    "是什么意思|什么意思|怎么办|怎么回事|怎么样|怎么|怎样|如何|什么|为什么|为何|多少|哪里|哪儿|哪个|哪些|"
    "哪一|请问|是否|有没有|能不能|能否|可以|应该|需要|这个|那个|一下|吗|呢|吧|的|了|是|该|"
    "多久|多长时间|多长|多大|多高|多远|多快|多重|几个|几次|几年|几天|(?<=[做换清查检洗修养加])一次(?![侧性电])"
)
"""What a question asks with: no words of what it is about, and no bigrams with those either."""
_SHOUTED = re.compile(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")
"""What is no idle word when it is written so: CAN is a bus."""
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_HUMPED = re.compile(r"(?<![A-Za-z])[A-Za-z]*[a-z][A-Z][A-Za-z]*(?![A-Za-z])")
"""Names of signals and registers: `ErrorFlag`."""
_IS_CJK = re.compile(f"[{_CJK}]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP_EN = _words(
    "a an the is are was were be been am do does doe did how what which who when where why can "
    "could should would shall will may might must i you we they it he she my your our its this "
    "that these those of in on at to for from by with and or but if then than as not no so me us "
    "them there here get got has have had about into up out mean means meaning tell please show "
    "give s t m re ll ve d"
)
_STOP_CJK = _words(
    "怎么 么办 什么 是什 么意 意思 如何 怎样 请问 多少 哪些 为什 可以 是多 么回 回事 怎 办 的 "
    "了 吗 呢 是 在 和 有 该怎 该如 应该 么处 何处 如果 这个 一个 多大 是怎 样的 是否 "
    "出现 现了 了怎 我的 的是 哪个 么解 何解"
)
_STOP = _STOP_CJK | _STOP_EN


def is_cjk(text: str) -> bool:
    """Return whether the text has any Chinese, Japanese or Korean character."""
    return _IS_CJK.search(text) is not None


def language(text: str) -> str:
    """Return `zh` where a tenth of the letters or more are CJK, else `en`, `` without letters."""
    cjk = len(_IS_CJK.findall(text))
    letters = sum(1 for c in text if c.isalpha())
    if not letters:
        return ""
    return "zh" if cjk * 10 >= letters else "en"


def tells(token: str) -> bool:
    """Return whether a token carries anything."""
    return token not in _STOP


def stem(word: str) -> str:
    """Return a light English stem: plural, -ing, -ed; short words and others stay."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word[: -len(ending)]
        if word.endswith(ending) and len(base) >= 3 and any(c in "aeiouy" for c in base):
            if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz":
                base = base[:-1]
            word = base
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def tokens(text: str, found: Sequence[Code] | None = None) -> list[str]:
    """Return the tokens of a passage, in order and with repeats.

    Args:
        text: the passage.
        found: its codes, where they were looked for already.
    """
    return _tokens(text, codes(text) if found is None else found)


def query_tokens(question: str) -> list[str]:
    """Return a question's tokens: each once, without words that carry nothing.

    A question of such words alone keeps them all.
    """
    said = _ASKING.sub(" ", question)
    every = list(dict.fromkeys(_tokens(said, codes(question, loose=True))))
    every = [token for token in every if len(token) > 1 or not is_cjk(token)] or every
    shouted = set() if question.isupper() else {w.lower() for w in _SHOUTED.findall(question)}
    useful = [t for t in every if t not in _STOP or t in shouted]
    return useful or every


def running_tokens(question: str) -> list[str]:
    """Return a question's tokens as they follow one another in a passage that it quotes.

    Words that carry nothing stay; the extra spellings go, since a passage has its own at its end.
    """
    normal = unicodedata.normalize("NFKC", fold(question)).lower()
    run = list(_words_of(normal, hyphened=False))
    # A lone character is a token only between others: inside a run of them it is part of two.
    while run and len(run[0]) == 1 and is_cjk(run[0]):
        del run[0]
    while run and len(run[-1]) == 1 and is_cjk(run[-1]):
        del run[-1]
    return run


def _tokens(text: str, found: Sequence[Code]) -> list[str]:
    folded = fold(text)
    words = list(_words_of(unicodedata.normalize("NFKC", folded).lower()))
    for match in _HUMPED.finditer(folded):
        words += (stem(part.lower()) for part in _HUMP.findall(match[0]) if len(part) > 1)
    there = set(words)
    return words + [s for s in _spellings(folded, found) if s not in there]


def _words_of(normal: str, *, hyphened: bool = True) -> Iterator[str]:
    for match in _RUN.finditer(normal):
        run = match[0]
        if match.lastgroup == "cjk":
            yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
        elif match.lastgroup == "number":
            yield run.replace(",", "")
        else:
            yield stem(run.replace("'", ""))
    for match in _HYPHENED.finditer(normal) if hyphened else ():
        yield stem(match[1] + match[2])


def _spellings(folded: str, found: Sequence[Code]) -> dict[str, None]:
    """Return codes and the like as single words, in both normal forms."""
    spellings: dict[str, None] = {}
    for match in _LETTERS_DIGITS.finditer(folded):
        spellings[((match[1] or match[2]) + match[3]).lower()] = None
    spellings |= dict.fromkeys(f"bit{match[1]}" for match in _BIT.finditer(folded))
    for code in found:
        told = code.canonical[0] == "$" or any(c.isdigit() for c in code.canonical)
        if code.canonical[0] != "#" and told:
            spellings[code.canonical.lower()] = None
    for spelling in list(spellings):
        spellings[loose_form(spelling.upper()).lower()] = None
    return spellings
