"""Folders of models: files that come, change, break and go."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.llm_bridge.cartridges import Cartridges, Found
from services.llm_bridge.marks import Marks
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration


class Looking:
    """The cartridges of some folders, followed."""

    def __init__(self, cartridges: Cartridges, changed: asyncio.Event) -> None:
        self.cartridges = cartridges
        self._changed = changed

    @property
    def found(self) -> dict[str, Found]:
        return {found.group.name: found for found in self.cartridges.found.values()}

    async def until(self, seen: Callable[[dict[str, Found]], bool]) -> dict[str, Found]:
        async with asyncio.timeout(30):
            while not seen(self.found):
                await self._changed.wait()
                self._changed.clear()
        return self.found

    async def one(self, name: str) -> Found:
        """A model once it is settled."""
        found = await self.until(
            lambda all_: name in all_ and all_[name].whole and not all_[name].checking
        )
        return found[name]


@asynccontextmanager
async def looking(
    *folders: str | Path, allowed: Sequence[str] = (), marks: Path
) -> AsyncIterator[Looking]:
    changed = asyncio.Event()
    cartridges = Cartridges(
        [str(folder) for folder in folders],
        allowed=allowed,
        marks=Marks(marks),
        every_s=0.02,
        settle_s=0.1,
        changed=changed.set,
    )
    task = asyncio.create_task(cartridges.run())
    try:
        yield Looking(cartridges, changed)
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "checksums.json"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def aged(path: Path) -> Path:
    """A file that was written an hour ago."""
    before = time.time() - 3600
    os.utime(path, (before, before))
    return path


async def test_a_model_appears_changes_and_goes(models: Path, marks: Path) -> None:
    async with looking(models, marks=marks) as seen:
        path = write_tiny_gguf(models / "a.gguf", name="first")
        first = await seen.one("a")
        assert first.reason == ""
        assert first.header is not None
        assert first.header.name == "first"
        write_tiny_gguf(path, name="second, and longer")
        await seen.until(lambda all_: "a" in all_ and all_["a"].group.look != first.group.look)
        second = await seen.one("a")
        assert second.header is not None
        assert second.header.name == "second, and longer"
        path.unlink()
        await seen.until(lambda all_: not all_)


async def test_a_folder_that_is_not_there_is_waited_for(tmp_path: Path, marks: Path) -> None:
    async with looking(tmp_path / "media" / "*" / "andon-models", marks=marks) as seen:
        stick = tmp_path / "media" / "stick one" / "andon-models"
        stick.mkdir(parents=True)
        write_tiny_gguf(stick / "a.gguf")
        assert (await seen.one("a")).reason == ""
        stick.parent.rename(tmp_path / "pulled")
        await seen.until(lambda all_: not all_)
        (tmp_path / "pulled").rename(stick.parent)
        assert (await seen.one("a")).reason == ""


async def test_a_half_copied_file_is_waited_for(tmp_path: Path, models: Path, marks: Path) -> None:
    data = write_tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    path = models / "a.gguf"
    async with looking(models, marks=marks) as seen:
        for cut in (2, 1000, len(data) - 1):
            path.write_bytes(data[:cut])
            await seen.until(lambda all_: "a" in all_)
            await asyncio.sleep(0.3)  # long enough to be looked into
            assert not seen.found["a"].whole
            assert seen.found["a"].reason == ""
        path.write_bytes(data)
        found = await seen.one("a")
        assert found.reason == ""
        assert found.header is not None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "broken: it ends after 0 bytes"),
        (b"no model at all", "broken: it is no GGUF file"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 40, "more than any model has"),
    ],
)
async def test_a_broken_file_is_refused(
    models: Path, marks: Path, data: bytes, reason: str
) -> None:
    path = models / "a.gguf"
    path.write_bytes(data)
    async with looking(models, marks=marks) as seen:
        aged(path)
        assert reason in (await seen.one("a")).reason


async def test_what_can_never_become_a_model_is_not_waited_for(models: Path, marks: Path) -> None:
    (models / "a.gguf").write_bytes(b"%PDF-1.7 and more")
    async with looking(models, marks=marks) as seen:
        async with asyncio.timeout(15):  # half of what one that is being copied is given
            assert "no GGUF file" in (await seen.one("a")).reason


async def test_a_truncated_file_is_refused(models: Path, marks: Path) -> None:
    path = write_tiny_gguf(models / "a.gguf")
    size = path.stat().st_size
    os.truncate(path, size - 100)
    aged(path)
    async with looking(models, marks=marks) as seen:
        assert f"{size - 100} of {size} bytes" in (await seen.one("a")).reason


async def test_what_writes_no_text_is_refused(models: Path, marks: Path) -> None:
    aged(write_tiny_gguf(models / "a.gguf", architecture="bert"))
    async with looking(models, marks=marks) as seen:
        assert "bert writes no text" in (await seen.one("a")).reason


async def test_what_is_no_model_is_passed_over(models: Path, marks: Path) -> None:
    for name in (".hidden.gguf", "mmproj-a.gguf", "a.gguf.part", "a.txt"):
        write_tiny_gguf(models / name)
    (models / "deep" / "deeper").mkdir(parents=True)
    write_tiny_gguf(models / "deep" / "deeper" / "c.gguf")
    aged(write_tiny_gguf(models / "deep" / "b.gguf"))
    async with looking(models, marks=marks) as seen:
        await seen.one("b")
        assert set(seen.found) == {"b"}


async def test_parts_are_one_model(models: Path, marks: Path) -> None:
    write_tiny_gguf(models / "a.gguf", tensors_a_part=8)
    parts = sorted(models.iterdir())  # noqa: ASYNC240
    assert len(parts) > 2
    size = sum(part.stat().st_size for part in parts)
    for part in parts:
        aged(part)
    last = parts[-1].rename(models.parent / "away")
    async with looking(models, marks=marks) as seen:
        found = await seen.one("a")
        assert f"{len(parts) - 1} of its {len(parts)} parts are there" in found.reason
        aged(last.rename(parts[-1]))
        await seen.until(lambda all_: "a" in all_ and not all_["a"].reason)
        found = await seen.one("a")
        assert (found.reason, found.group.look.size) == ("", size)
        assert found.group.path == str(parts[0])
        assert found.group.parts == tuple(map(str, parts))


async def test_only_allowed_files_are_used(models: Path, marks: Path) -> None:
    good = aged(write_tiny_gguf(models / "good.gguf"))
    aged(write_tiny_gguf(models / "strange.gguf", seed=1))
    allowed = hashlib.sha256(good.read_bytes()).hexdigest()
    async with looking(models, allowed=[allowed.upper()], marks=marks) as seen:
        assert (await seen.one("good")).reason == ""
        assert (await seen.one("good")).sha256 == (allowed,)
        assert "its checksum is not among" in (await seen.one("strange")).reason


async def test_many_checksums_are_made_and_kept_at_once(tmp_path: Path, marks: Path) -> None:
    paths = [tmp_path / f"{number}.gguf" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 10)
    made = Marks(marks)
    got = await asyncio.gather(*(made.of(str(path)) for path in paths))
    assert got == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    again = Marks(marks)
    assert set(again._known) == set(map(str, paths))
