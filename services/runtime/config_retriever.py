"""The part of config.yaml about how passages are found."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from services.runtime.config_values import MODELS, Positive, Seconds


class Embedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How text becomes vectors."""

    backend: Literal["onnx", "sentence-transformers", "llama-server"] = "onnx"
    """`onnx` runs the bundled model; the others run what `model` or `url` names."""
    model: str = str(MODELS / "all-MiniLM-L6-v2")
    """Folder of the ONNX model, or a sentence-transformers model on this machine."""
    url: str = ""
    """Base address of the llama-server that embeds, `http://127.0.0.1:8081`."""
    threads: Positive = 2
    """Processor threads."""
    batch: Positive = 8
    """Texts embedded together: more is faster and takes more memory."""


class Retriever(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How passages are found."""

    embedding: Embedding = Embedding()
    """How text becomes vectors."""
    lexicon: str = ""
    """The plant's own list of terms beside the one that comes along; empty: `<data>/lexicon.txt`
    where there is one."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    """Passages less relevant than this are not shown."""
    sure: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.3
    """How likely the manuals must answer a question for anything to be shown; 0 shows the nearest
    passages always."""
    rerank_url: str = ""
    """Base address of a llama-server with a reranker model, `http://127.0.0.1:8082`; empty: none.
    It puts the best passages in order; which those are is found without it."""
    rerank_model: str = ""
    """Model to ask for, where the server has several; empty: the server's own."""
    rerank_api_key: str = ""
    """Sent as bearer token; empty for none."""
    rerank_ca: str = ""
    """PEM file of the authority that signed the server's certificate."""
    rerank_passages: Annotated[int, msgspec.Meta(ge=2, le=64)] = 16
    """So many of the best passages are put in order by it, at most."""
    rerank_within_s: Seconds = 1.5
    """Passages whose order takes longer stay in Andon's own, s."""
    cache_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 2
    """How much of the passages' file is kept in memory, by each of its two connections, MiB."""
    budget_mb: Positive = 224
    """Memory it should stay under, MiB."""
