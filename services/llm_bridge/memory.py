"""What a model needs to run, against what the box has (pure but for one look at the box)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.llm_bridge.gguf import Header

USUAL_CONTEXT = 8192
"""Tokens a request may have where nothing else is said: passages, question and answer."""
LEAST_CONTEXT = 2048
"""With fewer hardly a passage fits."""
_BATCH = 512
"""Tokens llama-server reads at a time (`--ubatch-size`)."""
_F32, _F16 = 4, 2
_BASE = 32 << 20
"""The program itself, bytes."""
_TOKEN = 256
"""A token in the vocabulary, bytes."""
_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Need:
    """Memory a running model takes, bytes."""

    weights: int
    """The file, which is mapped: what is not in memory is read again for every token."""
    cache: int
    """Keys and values of all slots."""
    work: int
    """Buffers of a batch, vocabulary and program."""

    @property
    def total(self) -> int:
        """Return all of it."""
        return self.weights + self.cache + self.work

    @property
    def own(self) -> int:
        """Return what ends with the server; the file stays in the page cache, as available."""
        return self.cache + self.work


def need(header: Header, file_bytes: int, *, context: int, slots: int) -> Need:
    """Return what a model needs.

    Keys and values are f16, a row a token and layer (llama.cpp, src/llama-kv-cache.cpp:
    `n_embd_k_gqa + n_embd_v_gqa` by `kv_size`), every slot's context rounded up to 256. Layers that
    look back a little only (sliding windows) or keep a state instead need less. The buffers of a
    batch fit 5 rows of the hidden state, 3 of the layer between and the mask, with flash attention,
    which llama.cpp uses where it can; measured, see tests/integration/test_model_memory.py.

    Args:
        header: of the model.
        file_bytes: of all its parts.
        context: tokens of one slot.
        slots: requests worked on at the same time.
    """
    context = -(-context // 256) * 256
    row = sum(header.kv_heads) * (header.key_size + header.value_size) * _F16
    batch = _F32 * (5 * header.width + 3 * header.feed_forward) + _F16 * context
    work = _BATCH * batch + header.vocabulary * (_TOKEN + _F32 * slots) + _BASE
    return Need(weights=file_bytes, cache=context * slots * row, work=work)


def context_that_fits(
    header: Header, file_bytes: int, *, slots: int, wanted: int, room: int | None
) -> int | None:
    """Return the context to use a model with, None where even the least does not fit.

    Args:
        header: of the model.
        file_bytes: of all its parts.
        slots: requests worked on at the same time.
        wanted: tokens, exactly so many; 0 for as many as are of use and fit.
        room: bytes there are; None where the model runs on another machine.
    """

    def fits(context: int) -> bool:
        return room is None or need(header, file_bytes, context=context, slots=slots).total <= room

    if wanted:
        return wanted if fits(wanted) else None
    most = min(header.context or USUAL_CONTEXT, USUAL_CONTEXT)
    tries = [most]
    while tries[-1] // 2 >= LEAST_CONTEXT:
        tries.append(tries[-1] // 2)
    return next((context for context in tries if fits(context)), None)


def available() -> int:
    """Return what a program could take now without another one being swapped out, bytes.

    That is the kernel's own estimate, proc(5) `MemAvailable`.
    """
    for line in _MEMINFO.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_MEMINFO} without MemAvailable")
