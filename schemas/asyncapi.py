"""The contract as documents: docs/asyncapi.yaml, docs/schemas/, the README's topic table.

`python -m schemas.asyncapi` writes them, `--check` tells whether they are fresh, `--table`
prints the topics in Markdown.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path

from schemas import describe, shapes, topics, yamltext
from schemas.channels import CHANNELS


def files(root: Path) -> dict[Path, str]:
    """Return every generated file by its path; the README only where it has the markers."""
    found = {root / "docs" / "asyncapi.yaml": yamltext.dump(describe.document())}
    for channel in CHANNELS:
        if topics.is_message(channel.type):
            text = json.dumps(shapes.standalone(channel.type), indent=2, ensure_ascii=False)
            found[root / "docs" / "schemas" / f"{channel.type.__name__}.json"] = text + "\n"
    readme = root / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        if (fresh := topics.written_into(text)) != text or topics.BEGIN in text:
            found[readme] = fresh
    return found


def stale(root: Path) -> list[str]:
    """Return what is not as it would be written, one text a file; empty when all is fresh."""
    expected = files(root)
    found = [_difference(path.relative_to(root), path, text) for path, text in expected.items()]
    left = [path for path in (root / "docs" / "schemas").glob("*.json") if path not in expected]
    return [text for text in found if text] + [
        f"{path.relative_to(root)}: no message has this name any more" for path in left
    ]


def _difference(name: Path, path: Path, expected: str) -> str:
    if not path.is_file():
        return f"{name}: missing"
    lines = difflib.unified_diff(
        path.read_text(encoding="utf-8").splitlines(),
        expected.splitlines(),
        "there",
        "expected",
        lineterm="",
        n=1,
    )
    changes = list(lines)
    more = [f"… {len(changes) - 20} more lines"] if len(changes) > 20 else []
    return "\n".join([f"{name}: stale", *changes[:20], *more]) if changes else ""


def write(root: Path) -> None:
    """Write every generated file, and remove schemas of messages that are gone."""
    expected = files(root)
    for path in (root / "docs" / "schemas").glob("*.json"):
        if path not in expected:
            path.unlink()
    for path, text in expected.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Write, check or print; return the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.asyncapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a document is stale")
    parser.add_argument("--table", action="store_true", help="print the topic table")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    options = parser.parse_args(argv)
    if options.table:
        sys.stdout.write(topics.table())
        return 0
    if not options.check:
        write(options.root)
        return 0
    if found := stale(options.root):
        hint = "Run python -m schemas.asyncapi to write them again."
        sys.stderr.write("\n".join([*found, hint, ""]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
