"""Lets unstructured run without spaCy, and without its telemetry.

They split sentences and tag words only to tell running text from other text, which chunking
does not need, and would load a spaCy pipeline for it: 3 s, 300 MB with the torch that spaCy
imports where it is installed, and a download where the pipeline is not. So the one module
that imports spaCy is replaced, before unstructured asks for it, by this small one: sentences by
their punctuation, words by white space, no tags.

Its telemetry is switched off in any case, but is imported with the package, and like some of its
helpers brings an HTTP client along: a good part of the time a reader of a small file takes. A
reader has no network, so both are replaced as well, the client for these helpers only.

Only child processes that read call this.
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
_MODULE = "unstructured.nlp.tokenize"
_TELEMETRY = "unstructured.telemetry"
_CLIENT = "requests"


def sent_tokenize(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [part.strip() for part in _SENTENCE.findall(text) if part.strip()]


def word_tokenize(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


def pos_tag(text: str) -> list[tuple[str, str]]:
    """Return the words of a text, none of them tagged."""
    return [(word, "") for word in text.split()]


def init_telemetry() -> None:
    """Send nothing."""


def partition_runtime_telemetry(_document_type: str | None = None) -> Callable[[_F], _F]:
    """Return a decorator that leaves a partitioner as it is."""
    return lambda function: function


def prepare() -> None:
    """Put the replacements in place; call it before the first import of unstructured."""
    os.environ.update(ENVIRONMENT)
    _replace(_MODULE, sent_tokenize, word_tokenize, pos_tag)
    _replace(_TELEMETRY, init_telemetry, partition_runtime_telemetry)
    if _CLIENT not in sys.modules:
        # Only while unstructured's helpers are imported, which want it for telemetry alone: the
        # web partitioner's import needs the real one.
        _replace(_CLIENT)
        try:
            importlib.import_module("unstructured.utils")
        finally:
            del sys.modules[_CLIENT]


def _replace(name: str, *functions: Callable[..., Any]) -> None:
    if name in sys.modules:
        return
    module = ModuleType(name)
    for function in functions:
        setattr(module, function.__name__, function)
    sys.modules[name] = module
