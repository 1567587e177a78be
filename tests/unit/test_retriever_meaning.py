"""Which languages the embedding model knows."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from services.retriever.corpus import Corpus
from services.retriever.embedding import Embedder, open_embedder
from services.retriever.meaning import Meaning
from services.runtime.config import Embedding

pytestmark = pytest.mark.unit


class Other:
    """Another model, which may know any language."""

    name = "bge-m3@12345678"


async def test_the_bundled_model_speaks_english_and_another_one_chinese_too(
    tmp_path: Path,
) -> None:
    corpus = await Corpus.open(tmp_path / "corpus.db")
    bundled = open_embedder(Embedding(threads=1))
    meaning = Meaning(corpus, lambda _: None)
    try:
        assert not meaning.speaks("en"), "without a model nothing is known by its meaning"
        assert (await meaning.begin("fan", limited=False)).vector is None
        meaning.use(bundled, lambda: None)
        assert [meaning.speaks(lang) for lang in ("en", "zh", "")] == [True, False, True]
        meaning.use(cast("Embedder", Other()), lambda: None)
        assert [meaning.speaks(lang) for lang in ("en", "zh", "")] == [True, True, True]
    finally:
        meaning.close()
        bundled.close()
        await corpus.close()
