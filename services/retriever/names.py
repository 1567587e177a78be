"""Which documents a question names (pure).

People name the machine: `InfiniSolar V fault 07`. A document whose title, file or shelf has
such a word is meant more than others, the more the fewer documents have it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from schemas.retrieval import DocumentRef
from services.retriever.tokens import tokens

NEAR = 0.75
"""A document is named as well whose weight is this share of the best."""
SURE = 1.5
"""Weight from which on the question is about the named documents and no others; in a library of
a few, what a word tells that one of them alone goes by."""
TEXT = 0.6
"""What a name counts in a document's text, against its title."""
MOST = 0.34
"""Share of the manuals a word may name."""
SHORT = 3
"""Characters of a name that is not looked for in parts."""

_PAPER = frozenset(
    """manual guide instruct instruction handbook leaflet sheet datasheet list reference user
    install operation technical protocol communicat seri description parameter fault code
    error alarm version edition english chines quick start servic catalog setting document
    doc help other file book note part page index bus mainten troubleshoot""".split()  # noqa: SIM905 - to be read
)
"""Words of titles that say what paper it is, as tokens: no product's name."""

_PARTED = {
    count: re.compile(
        rf"(?<![A-Za-z0-9])(?={'[ -]'.join(['([A-Za-z0-9]+)'] * count)}(?![A-Za-z0-9]))"
    )
    for count in (3, 2)
}
"""So many words side by side."""


def name_tokens(document: DocumentRef) -> frozenset[str]:
    """Return the tokens a document goes by: title, path, product, shelf, tags."""
    path = document.file.rpartition(".")[0] or document.file
    words = " ".join([document.title, path, document.model, document.collection, *document.tags])
    return frozenset(tokens(words.replace("_", " ").replace("/", " ")))


class Names:
    """What the documents that answer go by."""

    def __init__(self, documents: Mapping[int, DocumentRef], before: Names | None = None) -> None:
        """Take the documents by number; what has not changed since `before` is not read again."""
        self.documents = dict(documents)
        self._of: dict[int, frozenset[str]] = {
            number: before.of(number)
            if before and before.documents.get(number) == document
            else name_tokens(document)
            for number, document in documents.items()
        }
        self._folder = {n: f for n, document in documents.items() if (f := _folder_of(document))}
        self._manuals = len({self._folder.get(number, str(number)) for number in documents})
        self._having: dict[str, list[int]] = {}
        for number, words in self._of.items():
            for word in words:
                self._having.setdefault(word, []).append(number)

    def product(self, word: str) -> set[int]:
        """Return the documents whose whole manual goes by a word, if that may be a product's name.

        What the files of a folder go by each for itself says what they are about.

        Args:
            word: a token, as people type it: in small letters too.
        """
        if word in _PAPER or len(word) < SHORT or not word.isascii() or not word.isalnum():
            return set()
        if word.isdigit():
            return set()
        going = set(self._having.get(word, ()))
        return going if going and self.family(going) == going else set()

    def __contains__(self, word: object) -> bool:
        """Return whether any document goes by this word."""
        return word in self._having

    def joined(self, question: str) -> str:
        """Return a question with names in one word that documents write so: `servo 42c`.

        Args:
            question: as asked.
        """
        before = ""
        while before != question:
            before = question
            for count, parted in _PARTED.items():
                start = 0
                while match := parted.search(question, start):
                    start = match.start() + 1
                    name = "".join(match.groups())
                    if len(name) > SHORT and name.lower() in self and any(map(str.isdigit, name)):
                        question = (
                            f"{question[: match.start()]}{name}{question[match.end(count) :]}"
                        )
                        start = match.start()
        return question

    def of(self, number: int) -> frozenset[str]:
        """Return the tokens a document goes by."""
        return self._of.get(number, frozenset())

    def weight(self, manuals: int) -> float:
        """Return what a word tells that so many manuals go by; 0 where it is most of them."""
        if not manuals or manuals > max(1.0, MOST * self._manuals):
            return 0.0
        return math.log((self._manuals + 1) / manuals)

    def named(
        self,
        words: Iterable[str],
        inside: Mapping[str, Collection[int]],
        makers: Iterable[Collection[Sequence[str]]] = (),
    ) -> dict[int, float]:
        """Return how much each document is named, without those that are not.

        Args:
            words: the question's words that may name one.
            inside: documents that have a word in their text, by that word.
            makers: the names of each maker it names, as tokens: one name, whichever is written.
        """
        found: dict[int, float] = {}
        for names in (*([(word,)] for word in words), *makers):
            there = {
                number
                for name in names
                if name
                for number in self._having.get(name[0], ())
                if self._of[number].issuperset(name)
            }
            held = [
                number for name in names if len(name) == 1 for number in inside.get(name[0], ())
            ]
            within = {number for number in held if number in self._of} - there
            weight = self.weight(len({self._folder.get(n, str(n)) for n in there | within}))
            for share, numbers in ((1.0, there), (TEXT, within)):
                for number in numbers if weight else ():
                    found[number] = found.get(number, 0.0) + weight * share
        return found

    @property
    def sure(self) -> float:
        """Return the weight from which on the question is about the named documents alone."""
        return min(SURE, self.weight(1)) or SURE

    def meant(self, named: Mapping[int, float]) -> list[int]:
        """Return the documents a question is surely about; none where it may be about any.

        Args:
            named: how much each is named.
        """
        best = max(named.values(), default=0.0)
        if best < self.sure:
            return []
        return [number for number, weight in named.items() if weight >= NEAR * best]

    def family(self, numbers: Collection[int]) -> set[int]:
        """Return documents and those beside them: a manual may be a folder of many files."""
        folders = {folder for number in numbers if (folder := self._folder.get(number))}
        beside = {number for number, folder in self._folder.items() if folder in folders}
        return {*numbers, *beside}


def _folder_of(document: DocumentRef) -> str:
    """Return what a document shares with the other files of its manual; empty for a lone file.

    Two levels of folders, since the first is a shelf; else what all of them are tagged with.
    """
    folders = document.file.split("/")[:-1]
    if len(folders) > 1:
        return "/".join(folders[:2])
    return " ".join(sorted(document.tags))
