"""The wheels of a box: built or fetched as constraints.txt pins them, then made slim."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement

from deploy.bundle import slim

NODES = ("answering", "full")
"""Kinds of nodes; each has what the one before has."""
_EXTRAS = {"answering": "answer", "full": "full"}


def gather(root: Path, folder: Path, cache: Path) -> dict[str, list[str]]:
    """Put slim wheels into a folder; return those of each kind of node, by file name.

    Args:
        root: the checkout.
        folder: where the wheels and a list for each kind of node go; made anew.
        cache: what is kept between two calls.
    """
    if sys.version_info[:2] != (3, 11):
        raise SystemExit(f"Debian 12 has Python 3.11; this is {sys.version.split()[0]}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as built:
        _pip(root, "--no-deps", "--wheel-dir", built, str(root))
        own = next(Path(built).glob("andon-*.whl"))
        fetched = _fetched(root, cache, own)
        by_name = {slim.normal(w.name.split("-")[0]): w for w in fetched}
        by_name["andon"] = own
        made: dict[str, list[str]] = {}
        for node in NODES:
            wanted = _closure(by_name, "andon", frozenset({_EXTRAS[node]}))
            made[node] = []
            for name in sorted(wanted - slim.NOT_NEEDED):
                ready = _slim(by_name[name], cache / "slim")
                shutil.copy2(ready, folder / ready.name)
                made[node].append(ready.name)
            (folder / f"{node}.txt").write_text("\n".join(made[node]) + "\n", encoding="utf-8")
    return made


def unpacked_bytes(folder: Path, names: Iterable[str]) -> int:
    """Return what wheels take when unpacked."""
    total = 0
    for name in names:
        with zipfile.ZipFile(folder / name) as wheel:
            total += sum(info.file_size for info in wheel.infolist())
    return total


def _pip(root: Path, *arguments: str) -> None:
    """Run `pip wheel`; what is compiled is for any processor of this architecture."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "wheel"]
    environment = {**os.environ, "HNSWLIB_NO_NATIVE": "1", "SOURCE_DATE_EPOCH": "315532800"}
    subprocess.run([*command, *arguments], check=True, cwd=root, env=environment)


def _fetched(root: Path, cache: Path, own: Path) -> list[Path]:
    """Return the wheels of others, from the cache where nothing that is asked for changed."""
    asked = "\n".join(_metadata(own).get_all("Requires-Dist", []))
    pins = (root / "constraints.txt").read_text(encoding="utf-8")
    key = hashlib.sha256(f"{asked}\n{pins}".encode()).hexdigest()[:16]
    kept = cache / "wheels" / key
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as part:
            pins_file = str(root / "constraints.txt")
            _pip(root, "--constraint", pins_file, "--wheel-dir", part, f"{root}[full]")
            for wheel in Path(part).glob("andon-*.whl"):
                wheel.unlink()
            Path(part).rename(kept)
            Path(part).mkdir()  # for the context manager to remove
    return sorted(kept.glob("*.whl"))


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def _requires(wheel: Path, extras: frozenset[str]) -> Iterator[Requirement]:
    """Yield what a wheel asks for here, with these extras."""
    for text in _metadata(wheel).get_all("Requires-Dist", []):
        wanted = Requirement(text)
        marker = wanted.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in (extras or {""})):
            yield wanted


def _closure(wheels: dict[str, Path], name: str, extras: frozenset[str]) -> set[str]:
    """Return a distribution and all it asks for, but what only those ask for that are left out."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(name, extras)]
    while todo:
        step = todo.pop()
        if step in seen or step[0] in slim.NOT_NEEDED:
            continue
        seen.add(step)
        found.add(step[0])
        asked = _requires(wheels[step[0]], step[1])
        todo.extend((slim.normal(wanted.name), frozenset(wanted.extras)) for wanted in asked)
    return found


def _slim(wheel: Path, cache: Path) -> Path:
    """Return the slim wheel, from the cache where it was made before by the same rules."""
    rules = Path(slim.__file__).read_bytes()
    key = hashlib.sha256(rules + wheel.read_bytes()).hexdigest()[:16]
    kept = cache / key / wheel.name
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as part:
            # Only what was compiled here has symbols for a debugger.
            here = re.search(r"-linux_\w+\.whl$", wheel.name)
            slim.slim(wheel, Path(part), _stripped if here else None)
            shutil.rmtree(kept.parent, ignore_errors=True)
            shutil.copytree(part, kept.parent)
    return kept


def _stripped(library: bytes) -> bytes:
    """Return a library without what only a debugger reads."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(library)
        file.flush()
        subprocess.run(["strip", "--strip-unneeded", file.name], check=True)
        return Path(file.name).read_bytes()
