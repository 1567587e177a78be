"""A second ONNX model: the bundled one that reads other words, so that no vector compares."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from services.runtime.config import Embedding

BUNDLED = Path(Embedding().model)


def second_model(folder: Path, name: str = "second") -> Path:
    """Write the model and return its folder; it takes each word for another one.

    Args:
        folder: where its own is made.
        name: what it calls itself, and what its folder is called.
    """
    path = shutil.copytree(BUNDLED, folder / name)
    tokenizer = json.loads((path / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    first = 1999  # before it stand letters and what has a meaning of its own
    count = len(words) - first
    tokenizer["model"]["vocab"] = {
        word: number if number < first else first + (number - first + count // 2) % count
        for word, number in words.items()
    }
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    card = json.loads((path / "model.json").read_text())
    card["name"] = name
    digest = hashlib.sha256((path / "tokenizer.json").read_bytes()).hexdigest()
    card["sha256"]["tokenizer.json"] = digest
    (path / "model.json").write_text(json.dumps(card))
    return path
