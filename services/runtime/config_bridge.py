"""The part of config.yaml about the language model's server."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from services.runtime.config_values import Positive, Seconds

Sha256 = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}\Z", description="64 hexadecimal digits")
]


class Bridge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The language model's server."""

    url: str = ""
    """Base address, `http://127.0.0.1:8080`; empty: answers come from the passages alone."""
    api: Literal["completion", "chat"] = "chat"
    """llama-server's own `/completion`, or the OpenAI form that vLLM and Ollama speak too."""
    model: str = ""
    """Model to ask for, where the server has several; empty: the server's own, or its first."""
    api_key: str = ""
    """Sent as bearer token; empty for none."""
    ca: str = ""
    """PEM file of the authority that signed the server's certificate."""
    slots: Positive = 1
    """Requests in flight at the same time."""
    cut_off: bool = True
    """Whether a critical alarm may cut off an answer to an advice, which is begun again later."""
    ageing_s: Seconds = 60.0
    """A request that waited so long for the model rises a rank: an advice is as good as a warning.
    None rises to critical."""
    connect_timeout_s: Seconds = 3.0
    """How long to wait for a connection."""
    token_timeout_s: Seconds = 30.0
    """How long to wait for a sign of life: a part of the prompt that was read, or a token."""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.1
    """0 is always the same answer; more is freer."""
    context: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Most of the context to use, tokens, and its size for servers that do not tell; 0: all."""
    model_folders: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    """Folders of GGUF files, `*` and `?` allowed: /media/*/andon-models; empty: `<data>/models`."""
    allowed_models: tuple[Sha256, ...] = ()
    """SHA-256 checksums of the files that may be used; empty: every file may."""
    model_memory_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Models that need more are refused, MiB; 0: what the box has."""
    load_within_s: Seconds = 300.0
    """A model that is not ready so long after it was chosen is given up, s."""
    budget_mb: Positive = 64
    """Memory it should stay under, MiB."""
