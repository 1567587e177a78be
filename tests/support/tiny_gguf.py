"""A tiny llama-architecture model with random weights, written as GGUF, for the real server.

It says nothing sensible and is not meant to: it lets llama.cpp's server load, count, read, write
and embed for real in a fraction of a second, with no file in the repository and no download.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

NAME = "tiny"
"""The model's name in its own metadata."""
CONTEXT = 4096
"""Trained context, tokens."""
WIDTH = 64
"""Size of a hidden state, and of an embedding."""

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
"""Its chat template."""

_LAYERS = 2
_HEADS = 4
_SEED = 20_05
_CLOSERS = ('"', "]", "}", ",")
_EAGERNESS = 0.9
"""How much likelier the closing signs are: under a JSON schema, strings and lists then end after
some tens of tokens by themselves; at even odds each would run to its limit."""
_FAVOUR = 0.9
_BAD_LEADS = (0xC0, 0xC1, 0xE0, 0xED, *range(0xF0, 0x100))
"""Bytes that, followed by any continuation, can make invalid UTF-8. A grammar counts continuation
bytes only, so random weights would write surrogates and overlong forms, at which llama-server's
chat parser gives up; a trained model does not."""
_RELUCTANCE = -4.0
"""How much less likely those bytes are."""

_BEGIN = "<|begin|>"
_END = "<|end|>"
_SPECIAL = (_BEGIN, _END)
_NORMAL, _CONTROL = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
_WORDS = (
    "the fault code drive motor check supply cable bus voltage brake cause action summary text"
    " passages causes actions page manual and of to is in"
)


def write_tiny_gguf(
    path: Path,
    *,
    name: str = NAME,
    seed: int = _SEED,
    architecture: str = "llama",
    tensors_a_part: int = 0,
    favourite: str = "",
    template: str = TEMPLATE,
    width: int = WIDTH,
    layers: int = _LAYERS,
) -> Path:
    """Write the model (about 0.5 MB, the same bytes each time) and return its path.

    The same file serves completions and, when the server is started for it, embeddings.

    Args:
        path: where to.
        name: what it calls itself.
        seed: of its weights; another one writes other text.
        architecture: what it says it is; only `llama` can be loaded.
        tensors_a_part: 0 for one file, else several are written, `…-00001-of-0000N.gguf`.
        favourite: a letter it writes more often than any other, to know it by.
        template: chat template; empty for a model that has none.
        width: size of a hidden state; with more of it and of the layers a token costs more.
        layers: how many there are.
    """
    tokens, merges = _vocabulary()
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=tensors_a_part)
    writer.add_name(name)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL if t in _SPECIAL else _NORMAL for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokens.index(_BEGIN))
    writer.add_eos_token_id(tokens.index(_END))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    if template:
        writer.add_chat_template(template)

    for part, tensor in _tensors(tokens, width, layers, seed, favourite).items():
        writer.add_tensor(part, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """Return tokens and merges: the special ones, all 256 bytes, and some words grown by letters.

    The byte tokens cover every text, Chinese included, three tokens a character.
    """
    letters = _byte_letters()
    tokens = [*_SPECIAL, *letters]
    merges: list[tuple[str, str]] = []
    for word in _WORDS.split():
        grown = letters[ord(" ")]
        for letter in word:
            if grown + letter not in tokens:
                merges.append((grown, letter))
                tokens.append(grown + letter)
            grown += letter
    return tokens, merges


def _byte_letters() -> list[str]:
    """Return the printable letter that GPT-2's byte-level BPE writes for each byte.

    Printable Latin-1 stands for itself, the others take the code points from 256 on
    (`bytes_to_unicode` in openai/gpt-2, src/encoder.py).
    """
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in plain else next(others)) for byte in range(0x100)]


def _tensors(
    tokens: list[str], width: int, layers: int, seed: int, favourite: str
) -> dict[str, np.ndarray]:
    """Return the weights by GGUF name, float32, deterministic."""
    random = np.random.default_rng(seed)

    def weights(rows: int, columns: int) -> np.ndarray:
        scale = 1.0 / np.sqrt(columns)
        return (random.standard_normal((rows, columns)) * scale).astype(np.float32)

    embedding = weights(len(tokens), width) * 4
    output = weights(len(tokens), width)
    # One dimension of every hidden state is kept at a steady value; reading it makes a token
    # likelier wherever the text stands.
    embedding[:, 0] = np.abs(embedding).mean() * 8
    output[:, 0] = 0.0
    for token, text in enumerate(tokens):
        if text in _CLOSERS:
            output[token, 0] = _EAGERNESS
    if favourite:
        output[tokens.index(favourite), 0] = _FAVOUR
    for byte in _BAD_LEADS:
        output[tokens.index(_byte_letters()[byte]), 0] = _RELUCTANCE
    ones = np.ones(width, dtype=np.float32)
    tensors = {"token_embd.weight": embedding, "output_norm.weight": ones, "output.weight": output}
    for layer in range(layers):
        block = f"blk.{layer}."
        tensors[block + "attn_norm.weight"] = ones
        tensors[block + "ffn_norm.weight"] = ones
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"{block}{part}.weight"] = weights(width, width)
        tensors[block + "ffn_gate.weight"] = weights(2 * width, width)
        tensors[block + "ffn_up.weight"] = weights(2 * width, width)
        tensors[block + "ffn_down.weight"] = weights(width, 2 * width)
    return tensors
