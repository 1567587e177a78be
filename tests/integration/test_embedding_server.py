"""Embedding by llama.cpp's own server, with a tiny model of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.retriever.embedding import Embedder, open_embedder
from services.retriever.embedding.llama import LlamaServerEmbedder
from services.runtime.config import Embedding
from services.runtime.errors import AndonError, Retryable
from tests.support.llama import llama_process
from tests.support.texts import CHINESE, ENGLISH
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf(path)
    return path


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Embedder]:
    with llama_process(model, embedding=True) as process:
        yield open_embedder(Embedding(backend="llama-server", url=process.url, batch=4))


def test_vectors_of_any_number_of_texts(server: Embedder) -> None:
    texts = ENGLISH[:5] + CHINESE[:4]
    vectors = server.embed(texts)
    assert vectors.shape == (9, server.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)
    assert server.embed([]).shape == (0, server.dimension)


def test_the_order_of_the_texts_is_kept(server: Embedder) -> None:
    texts = ENGLISH[:6]
    back = server.embed(texts[::-1])[::-1]
    assert (server.embed(texts) * back).sum(axis=1).min() > 0.99


def test_the_name_tells_model_and_length(server: Embedder) -> None:
    assert server.name.startswith("llama-server/")
    assert server.name.endswith(f"/{server.dimension}")


def test_a_server_that_does_not_embed_says_how_it_should_be_started(model: Path) -> None:
    with llama_process(model) as process, pytest.raises(AndonError, match="--embeddings"):
        LlamaServerEmbedder(process.url)


def test_a_text_longer_than_the_servers_batch_is_cut_until_it_fits(model: Path) -> None:
    long = " ".join(["overvoltage in the DC link"] * 100)
    with llama_process(model, embedding=True, batch=128) as process:
        embedder = LlamaServerEmbedder(process.url)
        with pytest.raises(AndonError, match="too large"):
            embedder._ask([long])
        vectors = embedder.embed([ENGLISH[0], long, ENGLISH[1]])
        alone = embedder.embed([ENGLISH[0], ENGLISH[1]])
    assert vectors.shape == (3, embedder.dimension)
    assert (vectors[[0, 2]] * alone).sum(axis=1).min() > 0.99


def test_a_server_that_went_away_is_worth_another_try(model: Path) -> None:
    with llama_process(model, embedding=True) as process:
        embedder = LlamaServerEmbedder(process.url)
    with pytest.raises(Retryable, match="embed by"):
        embedder.embed(["a"])
