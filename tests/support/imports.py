"""Which modules a source file imports, read without running it."""

from __future__ import annotations

import ast
from pathlib import Path


def imports_of(path: Path, root: Path) -> set[str]:
    """Return the full names of the modules a file imports, at any depth of its code.

    Args:
        path: the Python file.
        root: folder its package name begins in, for relative imports.
    """
    package = path.relative_to(root).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            # `from services import retriever` names a module by its last word.
            found |= {f"{name}.{alias.name}" for alias in node.names}
    return found


def imports_under(folder: Path, root: Path) -> set[tuple[str, str]]:
    """Return file, relative to the root, and module of every import under a folder."""
    return {
        (str(path.relative_to(root)), module)
        for path in sorted(folder.rglob("*.py"))
        for module in imports_of(path, root)
    }


def within(module: str, *packages: str) -> bool:
    """Return whether a module is one of these packages or in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
