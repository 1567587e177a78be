"""The codes a question asks for, and the forms under which to look them up (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from schemas.retrieval import Search
from services.retriever.codes import Code, cell_code, codes


def codes_asked(search: Search, names: Collection[str]) -> list[Code]:
    """Return the codes asked for, the payload's own first; a product's name is none.

    Args:
        search: the question.
        names: tokens of titles and file names, lower case.
    """
    found: list[Code] = []
    if search.code:
        canonical = cell_code(search.code)
        if canonical:
            found.append(Code(canonical, search.code, 0))
        else:
            found += codes(search.code, loose=True)
    asked = codes(search.question, loose=True)
    return found + [code for code in asked if code.canonical.lower() not in names]


def forms(code: Code) -> tuple[str, ...]:
    """Return the forgiving forms of a code: with and without the `E.` displays put before."""
    loose = code.loose
    if loose[0] == "E" and len(loose) > 2 and loose[1:3].isalpha():
        return loose, loose[1:]
    if len(loose) > 1 and loose[:2].isalpha():
        return loose, f"E{loose}"
    return (loose,)


def forgiving(found: Sequence[Code]) -> list[str]:
    """Return the forgiving forms of some codes, each once."""
    return list(dict.fromkeys(form for code in found for form in forms(code)))
