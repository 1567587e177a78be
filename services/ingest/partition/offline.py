"""Lets unstructured's partitioners run without spaCy.

They split sentences and tag words only to tell running text from other text, which chunking
does not need, and would load a spaCy pipeline for it: 3 s, 300 MB with the torch that spaCy
imports where it is installed, and a download where the pipeline is not. So the one module
that imports spaCy is replaced, before unstructured asks for it, by this small one: sentences by
their punctuation, words by white space, no tags. Only child processes that read call it.
"""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType

ENVIRONMENT = {
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
}
"""Switches unstructured's telemetry and notices off; must be set before its import."""

NO_DETECTION = [""]
"""Value of `languages` that keeps unstructured from guessing languages."""

_SENTENCE = re.compile(r"[^.!?。!?]+[.!?。!?]*\s*")
_MODULE = "unstructured.nlp.tokenize"


def sent_tokenize(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [part.strip() for part in _SENTENCE.findall(text) if part.strip()]


def word_tokenize(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


def pos_tag(text: str) -> list[tuple[str, str]]:
    """Return the words of a text, none of them tagged."""
    return [(word, "") for word in text.split()]


def prepare() -> None:
    """Put the replacement in place; call it before the first import of a partitioner."""
    os.environ.update(ENVIRONMENT)
    if _MODULE in sys.modules:
        return
    module = ModuleType(_MODULE)
    for function in (sent_tokenize, word_tokenize, pos_tag):
        setattr(module, function.__name__, function)
    sys.modules[_MODULE] = module
