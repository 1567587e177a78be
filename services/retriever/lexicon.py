"""The trade's vocabulary: what else the words of a question are called, in English and Chinese.

A list in plain text carries questions to manuals that use another word, an abbreviation or the
other language, without a model. One concept a line, its terms parted by commas, with a bar
between the languages:

    inverter, VFD, variable frequency drive, ~drive | 变频器, 变频驱动器

Before a term, `~` says that it usually means something else (it counts half), `=` that it counts
only in just these capitals (`=CAN` is no verb), `>` that people ask with it and no manual is
searched for it, `@` that it is the name of a maker or a product: it says which manuals are meant. A
line that begins with `-` lists terms whose meanings in the lines before are dropped. `#` begins a
comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from services.retriever.codes import fold
from services.retriever.terms import (
    UNIT,
    Expansion,
    Term,
    Unit,
    cached_stem,
    key_of,
    keyed,
    plain_form,
    terms_of,
    units_of,
)
from services.retriever.tokens import is_cjk, running_tokens
from services.runtime.errors import Fatal

SHIPPED = Path(__file__).with_name("lexicon.txt")
"""The list that comes with Andon."""

SAME, SYNONYM, TRANSLATION = 0.8, 0.5, 0.85
"""Weights of another spelling or an abbreviation, of a synonym, of the other language: measured
over 165 questions on 236 manuals, 78 of them in the other language. Synonyms of the same language
mostly compete with the word itself; for a word of the other language there is nothing else."""
LOOSE = 0.5
"""Share of it that a term keeps that usually means something else."""
PART = 0.5
"""Share of it that a term inside a longer one keeps."""
LONGEST = 12
"""Words and Chinese characters of a term at most."""
MOST_LETTERS = 80
"""Letters of a term at most."""
REMEMBERED = 256
"""Concepts whose terms are kept ready."""

_GAP = re.compile(r"[\s\-/_.&+']*\Z")


class _Match(msgspec.Struct, frozen=True, gc=False):
    """A term found in a question: its units, the first and the one after the last."""

    first: int
    last: int
    key: str
    share: float


class Lexicon:
    """A list of concepts, ready to be asked."""

    def __init__(self) -> None:
        """Begin with an empty list; see `load`."""
        self._lines: list[str] = []
        # Terms by their key; the rest of a concept is read again when it is asked for, which
        # keeps thousands of concepts in some 2 MB.
        self._concepts: dict[str, tuple[int, ...]] = {}
        self._most: dict[str, int] = {}
        """Letters of the longest key by its first two."""
        self._read: dict[int, list[Term]] = {}
        self._makers: list[list[tuple[str, ...]]] | None = None
        self.troubles: list[str] = []
        """Lines that were left out: file, line, what was found and what is allowed."""

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Lexicon:
        """Read lists, later ones on top of earlier ones.

        A wrong line is left out and told in `troubles`.

        Raises:
            Fatal: a file cannot be read.
        """
        lexicon = cls()
        for path in paths:
            try:
                content = path.read_bytes()
            except OSError as error:
                raise Fatal(
                    "read the list of terms",
                    f"{path}: {error.strerror}",
                    "name a readable text file in retriever.lexicon, or remove the key",
                ) from error
            lexicon.add(content.removeprefix(b"\xef\xbb\xbf").splitlines(), str(path))
        cached_stem.cache_clear()
        return lexicon

    def __len__(self) -> int:
        """Return the number of concepts."""
        return len(self._lines)

    def add(self, lines: Sequence[bytes], name: str) -> None:
        """Add the lines of a file; `name` stands in `troubles`."""
        for number, raw in enumerate(lines, 1):
            try:
                line = raw.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                found = f"found the byte 0x{raw[error.start]:02x}; allowed: text in UTF-8"
                self.troubles.append(f"{name}:{number}: {found}")
                continue
            if not line or line[0] in "#＃":
                continue
            wrong = self._drop(line[1:]) if line[0] in "-－" else self._add(line)
            if wrong:
                self.troubles.append(f"{name}:{number}: {wrong}")

    def _add(self, line: str) -> str:
        """Add a concept; return what is wrong with it, empty when it is right."""
        if line.count("|") + line.count("｜") > 1:
            return "found more than one bar; allowed: one, between English and Chinese"
        keys: dict[str, None] = {}
        for text, key in keyed(line):
            if not key:
                return f"found {_shown(text)} as a term; allowed: words, with a comma between two"
            # Only a text of many letters can be of many words.
            if len(text) > LONGEST and (
                len(text) > MOST_LETTERS or len(UNIT.findall(text)) > LONGEST
            ):
                most = f"{LONGEST} words or Chinese characters"
                return f"found the term {_shown(text)}; allowed: at most {most}"
            keys[key] = None
        if len(keys) < 2:
            return "found one term; allowed: two or more that mean the same, with commas between"
        number = (len(self._lines),)
        self._lines.append(line)
        self._makers = None
        concepts = self._concepts
        for key in keys:
            concepts[key] = concepts[key] + number if key in concepts else number
            head = key[:2]
            if len(key) > self._most.get(head, 0):
                self._most[head] = len(key)
        return ""

    def _drop(self, line: str) -> str:
        self._makers = None
        unknown = [text for text, key in keyed(line) if self._concepts.pop(key, None) is None]
        if not unknown:
            return ""
        return f"found {_shown(unknown[0])} to drop; allowed: terms of the lines before"

    def knows(self, word: str) -> bool:
        """Return whether the word is a term by itself, so that it is no typing error."""
        return key_of(plain_form(word)) in self._concepts

    def spelt_out(self, short: str) -> str:
        """Return what an abbreviation stands for, of several what has most names; or nothing."""
        key = key_of(plain_form(short))
        found = [self._terms(number) for number in self._concepts.get(key, ())]
        found = [terms for terms in found if any(t.key == key and t.short for t in terms)]
        most = max(found, key=len, default=[])
        return next((term.text for term in most if not term.zh and not term.short), "")

    def is_term(self, word: str) -> bool:
        """Return whether the word is one of the trade, and no maker's name."""
        key = key_of(plain_form(word))
        return key in self._concepts and not any("@" in term.marks for term in self._asked(key))

    def in_other(self, text: str) -> str:
        """Return what a term is called first in the other language.

        Empty where the text is no term as a whole, an abbreviation, or may mean several things.
        """
        key = key_of(plain_form(text))
        meant = [self._terms(number) for number in self._concepts.get(key, ())]
        meant = [terms for terms in meant if any(t.key == key and not t.marks for t in terms)]
        meant = [terms for terms in meant if not any(t.key == key and t.short for t in terms)]
        if len(meant) != 1:
            return ""
        zh = next(term.zh for term in meant[0] if term.key == key)
        return next((t.text for t in meant[0] if t.zh != zh and not (t.marks or t.short)), "")

    def makers(self) -> list[list[tuple[str, ...]]]:
        """Return the names of each maker or product of the list, as tokens."""
        if self._makers is None:
            lines = [terms_of(line) for line in self._lines if "@" in line]
            named = [
                [t.tokens for t in terms if "@" in t.marks and t.tokens and t.key in self._concepts]
                for terms in lines
            ]
            self._makers = [names for names in named if names]
        return self._makers

    def expand(self, question: str) -> list[Expansion]:
        """Return other ways to say what is asked, in the order of the question.

        The longest terms count; terms inside them count by `PART`.
        """
        folded = fold(question)
        units = units_of(plain_form(question))
        best: dict[tuple[int, int, tuple[str, ...]], Expansion] = {}
        for match in self._matches(folded, units):
            start, end = units[match.first].start, units[match.last - 1].end
            words = tuple(running_tokens(question[start:end]))
            for number, share in self._shares(match):
                for term, weight in self._others(number, match.key):
                    tokens, place = term.tokens, (start, end, term.tokens)
                    weighed = round(share * weight, 3)
                    if tokens == words or (place in best and best[place].weight >= weighed):
                        continue
                    lang: Literal["en", "zh"] = "zh" if term.zh else "en"
                    maker = "@" in term.marks
                    best[place] = Expansion(start, end, words, tokens, lang, weighed, maker)
        return list(best.values())

    def _matches(self, folded: str, units: Sequence[Unit]) -> Iterator[_Match]:
        """Yield the longest terms from left to right, each followed by those inside it."""
        shouted = folded.isupper() and not is_cjk(folded)
        at = 0
        while at < len(units):
            longest = self._longest(folded, units, at, LONGEST, shouted=shouted)
            if longest is None:
                at += 1
                continue
            yield longest
            inner, same = longest.first, set(self._concepts[longest.key])
            while inner < longest.last:
                most = longest.last - inner - (inner == longest.first)
                part = self._longest(folded, units, inner, most, shouted=shouted)
                # What means the same as the whole is said: `acceleration` in `acceleration time`.
                if part is not None and not same & set(self._concepts[part.key]):
                    yield _Match(part.first, part.last, part.key, part.share * PART)
                inner = inner + 1 if part is None else part.last
            at = longest.last

    def _longest(
        self, folded: str, units: Sequence[Unit], first: int, most: int, *, shouted: bool
    ) -> _Match | None:
        """Return the longest term that begins at a unit; None where none does."""
        found: _Match | None = None
        key, apart = "", False
        for last in range(first, min(first + most, len(units))):
            unit = units[last]
            if last > first:
                gap = folded[units[last - 1].end : unit.start]
                if gap and not _GAP.match(gap):
                    break
                # `so c` is no `soc`, `I/O` is `IO`.
                lone = key.isascii() and unit.key.isascii() and 1 in {len(key), len(unit.key)}
                apart = apart or (lone and gap.isspace())
            key += unit.key
            if len(key) > 1 and len(key) > self._most.get(key[:2], 0):
                break
            if key not in self._concepts:
                continue
            written = folded[units[first].start : unit.end]
            if share := self._share(key, written, apart=apart, shouted=shouted):
                found = _Match(first, last + 1, key, share)
        return found

    def _shares(self, match: _Match) -> Iterator[tuple[int, float]]:
        """Yield the concepts of a term and what each counts: several share, the usual one most."""
        usual = {number: self._usual(number, match.key) for number in self._concepts[match.key]}
        most = max(usual.values())
        apart = (sum(usual.values()) / most) ** 0.5
        for number, own in usual.items():
            yield number, match.share * own / most / apart

    def _usual(self, number: int, key: str) -> float:
        marks = [term.marks for term in self._terms(number) if term.key == key]
        return LOOSE if all("~" in mark for mark in marks) else 1.0

    def _asked(self, key: str) -> Iterator[Term]:
        for number in self._concepts[key]:
            yield from (term for term in self._terms(number) if term.key == key)

    def _terms(self, number: int) -> list[Term]:
        terms = self._read.get(number)
        if terms is None:
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            terms = self._read[number] = terms_of(self._lines[number])
        return terms

    def _share(self, key: str, written: str, *, apart: bool, shouted: bool) -> float:
        """Return what a term as written counts, 0 where it is another word."""
        share = 0.0
        for term in self._asked(key):
            if "=" in term.marks and (shouted or written != term.text):
                continue
            if apart and " " not in term.text:
                continue
            share = max(share, LOOSE if "~" in term.marks else 1.0)
        return share

    def _others(self, number: int, key: str) -> Iterator[tuple[Term, float]]:
        """Yield the other terms of a concept and what they weigh."""
        terms = self._terms(number)
        asked = next(term for term in terms if term.key == key)
        for term in terms:
            if ">" in term.marks or not term.tokens:
                continue
            if asked.zh != term.zh:
                weight = TRANSLATION
            elif term.key == key or (not term.zh and (asked.short or term.short)):
                weight = SAME
            else:
                weight = SYNONYM
            yield term, weight * (LOOSE if "~" in term.marks else 1.0)


def _shown(text: str) -> str:
    return f"`{text[:40]}`"
