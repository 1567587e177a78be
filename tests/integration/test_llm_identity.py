"""Which model runs, beyond its name: another file under the same name is another model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.llm_bridge.identity import on_disk
from services.llm_bridge.llama import LlamaServer
from services.runtime.config import Bridge
from services.runtime.errors import Unavailable
from tests.support.bridge import bridge, request
from tests.support.llama import LlamaProcess, llama_process
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "tiny.gguf", seed=1)


@pytest.fixture
def first() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


async def test_a_file_replaced_under_the_same_name_is_another_model(
    model: Path, tmp_path: Path, first: ExitStack
) -> None:
    """Before the server starts anew nobody can say which it runs; a pulled stick is no change."""
    server: LlamaProcess = first.enter_context(llama_process(model))
    async with LlamaServer(Bridge(url=server.url)) as llama:
        begun = await llama.props()
        assert begun.identity
        away = model.rename(tmp_path / "pulled")  # noqa: ASYNC240
        assert await llama.props() == begun
        away.rename(model)
        assert await llama.props() == begun
        write_tiny_gguf(tmp_path / "other", seed=2).rename(model)
        between = await llama.props()
        assert await llama.props() == between
        first.close()
        with pytest.raises(Unavailable):
            await llama.props()
        with llama_process(model, port=int(server.url.rpartition(":")[2])):
            after = await llama.props()
            assert await llama.props() == after
    assert begun.model == between.model == after.model
    assert len({begun.identity, between.identity, after.identity}) == 3


async def test_of_a_server_elsewhere_its_own_words_tell_the_file(tmp_path: Path) -> None:
    """Its machine's files are not ours to see; `0.0.0.0` is none of the names of this one."""
    found = []
    for width in (32, 64):
        path = write_tiny_gguf(tmp_path / "tiny.gguf", width=width)
        with llama_process(path) as server:
            elsewhere = Bridge(url=server.url.replace("127.0.0.1", "0.0.0.0"))
            async with LlamaServer(elsewhere) as llama:
                found.append(await llama.props())
                assert await llama.props() == found[-1]
    assert found[0].model == found[1].model
    assert found[0].identity != found[1].identity


async def test_the_status_and_each_answer_say_which_model_it_is(model: Path) -> None:
    with llama_process(model) as server:
        async with bridge(Bridge(url=server.url)) as served:
            await served.until(model="tiny")
            identity = served.health.facts["identity"]
            _, answer = await served.ask(request())
            assert answer.identity == identity
            assert identity


async def test_a_change_of_any_part_is_seen(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf", tensors_a_part=10)
    parts = sorted(tmp_path.glob("tiny-*-of-*.gguf"))  # noqa: ASYNC240
    assert len(parts) > 1
    before = await on_disk(str(parts[0]))
    assert before
    parts[-1].write_bytes(parts[-1].read_bytes() + b"\0")
    assert await on_disk(str(parts[0])) not in ("", before)
    parts[0].unlink()
    assert await on_disk(str(tmp_path / "none.gguf")) == ""
    assert await on_disk("a\0b") == ""
