"""Lets unstructured run without spaCy, its telemetry, and what else a reader never uses.

spaCy splits sentences and tags words only to tell running text from other text, which chunking
does not need, and would load a pipeline for it: 3 s, 300 MB with the torch that spaCy imports
where it is installed, and a download where the pipeline is not. So the one module that imports
spaCy is replaced, before unstructured asks for it, by this small one: sentences by their
punctuation, words by white space, no tags.

Its telemetry is switched off in any case, but is imported with the package, and so are an HTTP
client, a list of 200,000 English words that decides nothing unless UNSTRUCTURED_LANGUAGE_CHECKS is
set, the names of all languages, a second HTML parser and numpy: three quarters of the memory of a
reader of web pages, and half of the time a small file takes. They are replaced as well.

Only processes that read, and the one they are forked from, call this.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

ENVIRONMENT = {
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
}
"""Switches unstructured's telemetry and notices off; must be set before its import."""

NO_DETECTION = [""]
"""Value of `languages` that keeps unstructured from guessing languages."""

_F = TypeVar("_F", bound=Callable[..., Any])

_SENTENCE = re.compile(r"[^.!?。!?]+[.!?。!?]*\s*")


def sent_tokenize(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [part.strip() for part in _SENTENCE.findall(text) if part.strip()]


def word_tokenize(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


def pos_tag(text: str) -> list[tuple[str, str]]:
    """Return the words of a text, none of them tagged."""
    return [(word, "") for word in text.split()]


def few_letters(text: str, threshold: float = 0.5) -> bool:
    """Return whether less than this part of the characters, white space left out, are letters."""
    visible = len(text) - sum(map(str.isspace, text))
    return bool(visible) and sum(map(str.isalpha, text)) / visible < threshold


def init_telemetry() -> None:
    """Send nothing."""


def partition_runtime_telemetry(_document_type: str | None = None) -> Callable[[_F], _F]:
    """Return a decorator that leaves a partitioner as it is."""
    return lambda function: function


class LanguageNotFoundError(Exception):
    """There is no such language."""


class Language:
    """The names of languages, of which none are kept: nothing here guesses languages."""

    @staticmethod
    def match(code: str) -> Language:
        """Raise LanguageNotFoundError."""
        raise LanguageNotFoundError(code)


def prepare() -> None:
    """Put replacements in place; call it before the first import of unstructured."""
    os.environ.update(ENVIRONMENT)
    _replace("unstructured.nlp.tokenize", sent_tokenize, word_tokenize, pos_tag)
    _replace("unstructured.telemetry", init_telemetry, partition_runtime_telemetry)
    _replace("unstructured.nlp.english_words", ENGLISH_WORDS=frozenset())
    _replace("unstructured.safe_http", safe_get=_absent)
    _replace(
        "unstructured.partition.html.transformations",
        ontology_to_unstructured_elements=_absent,
        parse_html_to_ontology=_absent,
    )
    _replace("iso639", Language, LanguageNotFoundError)
    _import_without("requests", "unstructured.utils")


def prepare_partitioner() -> None:
    """Put all replacements in place; call it before the import of a partitioner."""
    prepare()
    _import_without("numpy", "unstructured.cleaners.core", ndarray=object)
    # A third of the time that a web page takes.
    kinds: Any = importlib.import_module("unstructured.partition.text_type")
    kinds.under_non_alpha_ratio = few_letters


def _absent(*_arguments: Any, **_named: Any) -> Any:
    raise RuntimeError("a part of unstructured that readers leave out was called")


def _import_without(name: str, importer: str, **attributes: Any) -> None:
    """Import a module that wants a library for what is never called; others may really need it."""
    if name in sys.modules:
        return
    _replace(name, **attributes)
    try:
        importlib.import_module(importer)
    finally:
        del sys.modules[name]


def _replace(name: str, *members: Any, **attributes: Any) -> None:
    if name in sys.modules:
        return
    module = ModuleType(name)
    for member in members:
        setattr(module, member.__name__, member)
    vars(module).update(attributes)
    sys.modules[name] = module
