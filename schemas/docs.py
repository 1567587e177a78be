"""The words under each field, read from the source: Python keeps no attribute docstrings."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys


def of_fields(cls: type) -> dict[str, str]:
    """Return the docstring of each documented field of a class, inherited ones included.

    Raises:
        OSError: the source of the class's module is not there.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        if base.__module__.partition(".")[0] != "msgspec":
            found |= _of_module(base.__module__).get(base.__qualname__, {})
    return found


@functools.cache
def _of_module(module: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _of_body(node.body) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_body(body: list[ast.stmt]) -> dict[str, str]:
    """Return field name and docstring where a string literal follows an annotated name."""
    found = {}
    for field, after in itertools.pairwise(body):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found
