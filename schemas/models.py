"""Language models as cartridges: which there are, and which one is in use."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ModelState = Literal["ready", "copying", "checking", "refused", "in use"]


class Cartridge(msgspec.Struct, frozen=True, kw_only=True):
    """One model in one of the folders."""

    name: str
    """By which `use` takes it: the file's name without its ending."""
    path: str
    """The file, or the first of its parts."""
    state: ModelState
    """`copying`: not whole yet; `checking`: its checksum is being made."""
    reason: str = ""
    """Why it is refused, could not be loaded the last time, or is not what is in use."""
    size_mb: float = 0.0
    """All its files, MiB."""
    parts: int = 1
    """Files it is made of."""
    title: str = ""
    """What the file calls itself."""
    architecture: str = ""
    """What llama.cpp calls its kind."""
    quantisation: str = ""
    """What its numbers are kept as."""
    trained_context: int = 0
    """Tokens it was made for."""
    layers: int = 0
    """Blocks."""
    width: int = 0
    """Size of a hidden state."""
    heads: int = 0
    """Attention heads."""
    kv_heads: int = 0
    """Heads of keys and values, the most of a layer."""
    vocabulary: int = 0
    """Tokens it knows."""
    tokenizer: str = ""
    """Kind of tokenizer."""
    chat_template: bool = False
    """Whether it brings the template of a chat."""
    context: int = 0
    """Tokens of a request it is or would be used with; 0 where it does not fit."""
    memory_mb: float = 0.0
    """What it takes with that context, or with the least one, MiB."""
    sha256: str = ""
    """Checksums of its files in their order, with commas; empty where they were not needed."""


class ListModels(msgspec.Struct, frozen=True, kw_only=True):
    """Which models are there?"""


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """The models of all folders."""

    models: list[Cartridge]
    """By name."""
    folders: list[str]
    """Where they are looked for."""
    switching: str = ""
    """Name of the model that is being changed to; empty most of the time."""
    available_mb: float = 0.0
    """Memory a model may take now, MiB; 0 where its server is on another machine."""


class UseModel(msgspec.Struct, frozen=True, kw_only=True):
    """Change to another model; replies are streamed as `UseStep`."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    """Name or path of a cartridge."""
    context: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)] = 0
    """Tokens of a request; 0 for as many as are of use and fit."""


class Switching(msgspec.Struct, frozen=True, kw_only=True, tag="step"):
    """How far the change is."""

    step: Literal["finishing", "loading", "returning"]
    """`finishing` answers that were begun; `returning` to the former model."""
    text: str
    """For a person."""


class Switched(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The change is done."""

    model: str
    """Name of the model that answers now."""
    context: int
    """Tokens of a request."""
    seconds: float
    """How long it took."""


UseStep = Switching | Switched
"""What a streamed reply is made of."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A model, and how it is to run."""

    path: str
    """The file, or the first of its parts; absolute."""
    context: int
    """Tokens of one slot; 0 where its server decides."""
    slots: int
    """Requests worked on at the same time; 0 where its server decides."""
    since: str
    """When it was chosen, RFC 3339 UTC: a file chosen again is another choice."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The model to run: `<data>/model/current.json`, written by the bridge.

    Whoever runs the server follows that file, see `Running`.
    """

    now: Choice
    """The model to run."""
    before: Choice | None = None
    """The one that answered before, while `now` is on trial: it comes back if that fails."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a choice: `<data>/model/server.json`, written by whoever runs the server.

    That file says that somebody does follow the choice; it goes when nobody does any more.
    """

    since: str
    """Of the choice."""
    state: Literal["starting", "ready", "failed"]
    """`failed`: it ended by itself before it was ready."""
    reason: str = ""
    """Why it failed, in the server's own words."""
    file: str = ""
    """Size and time of the model's file, of all its parts, when the server began to read it."""
