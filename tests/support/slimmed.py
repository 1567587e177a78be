"""`python -m tests.support.slimmed FILE…`: imports all services and reads files as on a box.

Modules that the bundle leaves out cannot be imported, though this machine has them.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import services
from deploy.bundle.slim import NOT_NEEDED, needed, normal

BY_CHOICE = {"services.retriever.embedding.sentences"}
"""Backends that a person installs."""
_SITE = Path(importlib.import_module("msgspec").__file__ or "").parents[1]


class Slim:
    """A finder that knows no module that the bundle leaves out."""

    left_out = frozenset(
        module
        for module, names in packages_distributions().items()
        if all(normal(name) in NOT_NEEDED for name in names)
    )

    find_distributions = importlib.machinery.PathFinder.find_distributions

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module where the bundle has it."""
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        file = Path(spec.origin) if spec and spec.origin else None
        gone = file and file.is_relative_to(_SITE) and not needed(str(file.relative_to(_SITE)))
        return None if gone or name.partition(".")[0] in cls.left_out else spec


def main() -> None:
    """Import and read."""
    for name in [n for n in sys.modules if n.partition(".")[0] in Slim.left_out]:
        del sys.modules[name]
    finder = sys.meta_path.index(importlib.machinery.PathFinder)
    sys.meta_path[finder] = Slim
    from services.ingest.partition import offline

    offline.prepare()  # as all processes do that load unstructured
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith("__main__") and module.name not in BY_CHOICE:
            importlib.import_module(module.name)
    from services.ingest import partition

    for file in map(Path, sys.argv[1:]):
        document = partition.read(file, file.name, lambda _done, _all: None)
        print(file.name, len(document.elements))  # noqa: T201


if __name__ == "__main__":
    main()
