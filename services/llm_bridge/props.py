"""What the model's server is and says of itself, asked of each kind in its own way."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import PurePath
from typing import Literal

import msgspec

from services.llm_bridge import errors
from services.llm_bridge.connection import Connection
from services.llm_bridge.errors import NotOffered
from services.llm_bridge.fields import Json, integer, obj, objects
from services.runtime.errors import Rejected

Kind = Literal["llama", "vllm", "ollama", "other"]
"""llama-server, vLLM, Ollama, or anything else that speaks `/v1/chat/completions`."""

_CHATML = "<|im_start|>"


class Props(msgspec.Struct, frozen=True, kw_only=True):
    """A server and its model. Two that are equal run the same model in the same way."""

    kind: Kind = "other"
    """Which program."""
    model: str = ""
    """Name of the model: its alias, or its file without folder and ending; empty: not told."""
    context: int = 0
    """Tokens of prompt and answer together, for one request; 0: not told."""
    slots: int = 0
    """Requests it works on at the same time; 0: not told."""
    template: bool = False
    """Whether the model has a chat template, and the server applies it for us."""
    thinks: bool = False
    """Whether the model would think aloud first unless told not to (Ollama tells)."""
    path: str = ""
    """Of the model's file, on the server's machine; empty: not told."""
    identity: str = ""
    """Changes with the model's file, its chat template and the server's build."""

    @property
    def counts(self) -> bool:
        """Whether the server counts tokens for us."""
        return self.kind in ("llama", "vllm")


async def ask(http: Connection, model: str) -> Props:
    """Ask the server what it is; one that tells nothing is `other`.

    `/slots` is not asked: llama-server answers it between two batches only, so it would wait
    behind the reading of a long prompt, and `/props` tells the same.

    Args:
        http: the connection.
        model: name to ask for, where the server has several; empty: the server's own.

    Raises:
        Rejected: the server does not have this model, or refuses us.
        Retryable, Unavailable: as `Connection`.
    """
    try:
        # A router of several models tells of one when asked for it; others ignore the name.
        query = {"model": model} if model else None
        found = _llama(data := await http.json("GET", "/props", query=query))
    except NotOffered:
        pass  # not llama-server
    else:
        if _CHATML in str(data.get("chat_template")) and not await _knows_chatml(http, model):
            return msgspec.structs.replace(found, template=False)
        return found
    try:
        listed = list(objects(await http.json("GET", "/v1/models"), "data"))
    except NotOffered:
        return Props(model=model)
    chosen = _choose(listed, model)
    name = str(chosen.get("id") or model)
    if (context := integer(chosen, "max_model_len")) > 0:
        return Props(kind="vllm", model=name, context=context, identity=str(chosen.get("root")))
    return await _ollama(http, name)


async def described(http: Connection, model: str) -> str:
    """Return what llama-server tells of a model's file, where that cannot be looked at here.

    That is its size and its numbers of weights and words; not told by a router of several models.

    Raises:
        Retryable, Unavailable: as `Connection`.
    """
    try:
        listed = objects(await http.json("GET", "/v1/models"), "data")
    except NotOffered:
        return ""
    metas = {str(each.get("id")): obj(each, "meta") for each in listed}
    meta = metas.get(model) or next(iter(metas.values()), {})
    return " ".join(f"{name}={value}" for name, value in sorted(meta.items()))


def marked(props: Props, mark: str) -> Props:
    """Return props whose identity changes with a mark, too; that of an empty one is its own."""
    if not mark:
        return props
    return msgspec.structs.replace(props, identity=_digest(props.identity, mark))


async def _knows_chatml(http: Connection, model: str) -> bool:
    """Return whether ChatML's sign is a token of the model.

    llama-server shows ChatML as the template of a model that has none.
    """
    body = {"model": model, "content": _CHATML, "add_special": False, "parse_special": True}
    tokens = (await http.json("POST", "/tokenize", body)).get("tokens")
    return isinstance(tokens, list) and len(tokens) == 1


def _choose(listed: list[Json], model: str) -> Json:
    """Return the entry of the model wanted; the first where none is named."""
    names = [str(each.get("id")) for each in listed]
    # Ollama serves `phi3` under the name `phi3:latest` too.
    for each, name in zip(listed, names, strict=True):
        if not model or model in (name, name.removesuffix(":latest")):
            return each
    if listed:
        raise Rejected(
            errors.SERVER,
            f"the server has no model {model!r}, it has {', '.join(names[:8])}",
            "set llm_bridge.model to one of them",
        )
    return {}


async def _ollama(http: Connection, model: str) -> Props:
    """Ask Ollama, which tells a model's context only while it is loaded.

    Its own default depends on version and memory, and it cuts a prompt that is too long without
    a word, so what is not told stays 0 and the caller assumes little.
    """
    try:
        await http.json("GET", "/api/version")
        shown = await http.json("POST", "/api/show", {"model": model})
        running = list(objects(await http.json("GET", "/api/ps"), "models"))
    except NotOffered:
        return Props(model=model)
    names = {model, f"{model}:latest", model.removesuffix(":latest")}
    loaded = [integer(each, "context_length") for each in running if each.get("name") in names]
    capabilities = shown.get("capabilities")
    return Props(
        kind="ollama",
        model=model,
        context=max(loaded, default=0) or _num_ctx(str(shown.get("parameters") or "")),
        thinks=isinstance(capabilities, list) and "thinking" in capabilities,
        identity=_digest(str(shown.get("template")), str(shown.get("modified_at"))),
    )


def _num_ctx(parameters: str) -> int:
    """Return the context that a Modelfile sets, which stands in lines of name and value."""
    for line in parameters.splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "num_ctx" and value.strip().isdigit():
            return int(value.strip())
    return 0


def _llama(data: Json) -> Props:
    try:
        context = int(data["default_generation_settings"]["n_ctx"])
        slots = int(data.get("total_slots", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise errors.garbled("/props without a context size", str(data)) from error
    path = str(data.get("model_path") or "")
    template = str(data.get("chat_template") or "")
    return Props(
        kind="llama",
        model=name_of(str(data.get("model_alias") or path or "model")),
        context=context,
        slots=max(1, slots),
        template=bool(template),
        path=path,
        identity=_digest(path, template, str(data.get("build_info"))),
    )


def name_of(model: str) -> str:
    """Return a model's name; without an alias llama-server gives the path of the file."""
    return PurePath(model).name.removesuffix(".gguf")


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()
