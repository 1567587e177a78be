"""The header of a GGUF file, whole and broken."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import gguf as reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm_bridge import gguf
from services.runtime.errors import Rejected
from tests.support.tiny_gguf import CONTEXT, NAME, WIDTH, write_tiny_gguf

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


def read(data: bytes) -> gguf.Header:
    return gguf.read(io.BytesIO(data), "x.gguf")


def read_or_none(data: bytes) -> gguf.Header | None:
    """None where it is refused; any other error is the test's."""
    try:
        return read(data)
    except Rejected:
        return None


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def written(*pairs: bytes, tensors: bytes = b"", count: int = 0, version: int = 3) -> bytes:
    """A file with these keys and tensors."""
    return b"GGUF" + struct.pack("<IQQ", version, count, len(pairs)) + b"".join(pairs) + tensors


def text(key: str, value: str) -> bytes:
    return string(key.encode()) + struct.pack("<I", 8) + string(value.encode())


def number(key: str, value: int) -> bytes:
    return string(key.encode()) + struct.pack("<II", 4, value)


def test_it_says_what_the_writer_wrote(tiny: bytes) -> None:
    header = read(tiny)
    assert header.end == len(tiny)
    assert (header.version, header.architecture, header.kind) == (3, "llama", "model")
    assert (header.name, header.context, header.width) == (NAME, CONTEXT, WIDTH)
    assert (header.layers, header.heads, header.kv_heads) == (2, 4, (4, 4))
    assert (header.key_size, header.value_size, header.feed_forward) == (16, 16, 128)
    assert (header.tokenizer, header.has_template, header.quantisation) == ("gpt2", True, "F32")
    assert header.vocabulary > 256
    assert header.parts == 1


def test_the_table_of_block_sizes_is_that_of_the_reference() -> None:
    sizes = reference.GGML_QUANT_SIZES
    assert {kind.value: size for kind, size in sizes.items()}.items() <= gguf._BLOCKS.items()


def test_the_names_of_quantisations_are_those_of_the_reference() -> None:
    known = {kind.value: kind.name for kind in reference.LlamaFileType}
    for value, name in gguf._QUANTS.items():
        assert known[value].removesuffix("_MOE").endswith(name)


def test_every_cut_in_the_header_is_named(tiny: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny)
    start = min(int(tensor.data_offset) for tensor in reference.GGUFReader(path).tensors)
    for length in {*range(64), *range(64, start - 64, 97)}:
        with pytest.raises(Rejected, match="it ends after"):
            read(tiny[:length])


def test_what_is_missing_after_the_header_shows_in_the_end(tiny: bytes) -> None:
    assert read(tiny[:-1]).end == len(tiny)


@given(st.data())
@settings(max_examples=400)
def test_changed_bytes_are_read_or_refused_and_nothing_else(
    tiny: bytes, data: st.DataObject
) -> None:
    broken = bytearray(tiny[:20_000])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    header = read_or_none(bytes(broken) + tiny[20_000:])
    assert header is None or header.end >= 0


@given(st.binary(max_size=400))
def test_any_bytes_after_the_magic_are_read_or_refused(rest: bytes) -> None:
    for start in (b"GGUF", b"GGUF\x03\x00\x00\x00", b"GGUF" + struct.pack("<IQQ", 3, 2, 3)):
        header = read_or_none(start + rest)
        assert header is None or header.tensors <= len(rest)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it ends after 0 bytes"),
        (b"%PDF-1.7", "it is no GGUF file"),
        (b"GGUF" + struct.pack("<I", 1), "GGUF version 1;"),
        (b"GGUF" + struct.pack("<I", 99), "GGUF version 99;"),
        (b"GGUF" + struct.pack(">I", 3), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0), "tensors, more than any model has"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 40), "keys, more than any model has"),
        (written(struct.pack("<Q", 1 << 60)), "letters, more than any model has"),
        (written(string(b"k") + struct.pack("<I", 77)), "unknown kind"),
        (written(string(b"k") + struct.pack("<IIQ", 9, 8, 1 << 50)), "does not end"),
        (written(string(b"k") + struct.pack("<IIQ", 9, 4, 1 << 50)), "does not end|it ends after"),
        (written(number("general.alignment", 0)), "alignment"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read(data)


def test_lists_in_lists_end(tiny: bytes) -> None:
    inner = struct.pack("<IQ", 9, 1) * 50
    with pytest.raises(Rejected, match="unknown kind"):
        read(written(string(b"k") + struct.pack("<I", 9) + inner))


def test_heads_may_differ_by_layer() -> None:
    heads = string(b"x.attention.head_count_kv") + struct.pack("<IIQ3I", 9, 4, 3, 4, 0, 2)
    header = read(
        written(
            text("general.architecture", "x"),
            number("x.block_count", 3),
            number("x.embedding_length", 64),
            number("x.attention.head_count", 4),
            number("x.attention.key_length", 24),
            heads,
        )
    )
    assert header.kv_heads == (4, 0, 2)
    assert (header.key_size, header.value_size) == (24, 16)


def test_the_end_counts_blocks_and_alignment() -> None:
    one = string(b"t") + struct.pack("<IQIQ", 1, 257, 12, 64)  # Q4_K, two blocks of 144 bytes
    data = written(number("general.alignment", 64), tensors=one, count=1)
    start = -(-len(data) // 64) * 64
    assert read(data).end == start + 64 + 2 * 144
