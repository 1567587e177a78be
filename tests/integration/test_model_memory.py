"""What a model needs by its header, against what the real server says that it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.llm_bridge import gguf, memory
from tests.support.llama_server import server_process
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration
_MIB = 1 << 20


def told(log: str, what: str) -> float:
    """Return the sum of what the server tells of a kind of buffer, MiB."""
    found = re.findall(rf"{what} buffer size (?:=|is) +([0-9.]+) MiB", log)
    assert found, log[-3000:]
    return sum(map(float, found))


@pytest.mark.parametrize(("context", "slots"), [(2048, 1), (4096, 1), (4096, 3)])
def test_the_need_is_what_the_server_takes(tmp_path: Path, context: int, slots: int) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    with path.open("rb") as file:
        header = gguf.read(file, "tiny")
    need = memory.need(header, path.stat().st_size, context=context, slots=slots)
    size = ("--ctx-size", str(context * slots), "--parallel", str(slots))
    with server_process(
        tmp_path, "--model", str(path), *size, "--log-verbosity", "4", "--no-warmup"
    ) as server:
        log = server.log.read_text(encoding="utf-8")
    assert need.cache / _MIB == pytest.approx(told(log, "KV"), abs=0.01)
    taken = told(log, "compute") + told(log, "output")
    assert taken <= need.work / _MIB
    assert taken >= (need.work - memory._BASE) / _MIB * 0.5


def test_the_context_shrinks_until_it_fits(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    with path.open("rb") as file:
        header = gguf.read(file, "tiny")

    def total(context: int) -> int:
        return memory.need(header, 1000, context=context, slots=2).total

    def fits(room: int | None, wanted: int = 0) -> int | None:
        return memory.context_that_fits(header, 1000, slots=2, wanted=wanted, room=room)

    assert fits(None) == header.context == 4096
    assert fits(total(4096)) == 4096
    assert fits(total(4096) - 1) == 2048
    assert fits(total(2048) - 1) is None
    assert fits(total(3000), wanted=3000) == 3000
    assert fits(total(3000) - 1, wanted=3000) is None


def test_the_kernel_tells_what_can_be_had() -> None:
    assert memory.available() > _MIB
