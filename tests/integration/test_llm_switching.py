"""The model is changed while requests run: by a router, and by starting its server anew."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from schemas.channels import USE_MODEL
from schemas.models import Choice, Chosen, Running, Switched, Switching, UseModel
from services.runtime import choice
from services.runtime.config import Bridge
from services.runtime.errors import Rejected, Unavailable
from tests.support.bridge import Served, bridge, request
from tests.support.llama import llama_process
from tests.support.llama_server import llama_server, server_process
from tests.support.swapping import (
    LETTERS,
    model_server,
    models,
    routed,
    settled,
    switched_under_load,
    until,
    use,
    write_both,
    writer_of,
)
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that wait for each other on a busy machine take minutes."""
    monkeypatch.setenv("LLAMA_ARG_THREADS", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_both(tmp_path / "models")
    return tmp_path / "models"


@asynccontextmanager
async def followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, **more: object
) -> AsyncIterator[tuple[Served, list[str]]]:
    """A bridge beside a server that follows its choice, alpha at first."""
    monkeypatch.setenv("PATH", str(llama_server().parent) if program == "built" else "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    data, said = folder.parent / "data", list[str]()
    path = str(folder / "alpha.gguf")
    choice.write(data, Chosen(now=Choice(path=path, context=2048, slots=1, since="first")))
    async with model_server(data, said) as server:
        settings = Bridge(
            url=server.url,
            api_key=server.key,
            model_folders=(str(folder),),
            **more,  # type: ignore[arg-type]
        )
        async with bridge(settings, data) as served:
            await served.until(model="alpha")
            yield served, said


async def refused(served: Served, name: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        await use(served, name)


async def answered_by(served: Served, name: str) -> None:
    _, answer = await served.ask(request(max_tokens=64))
    assert (answer.model, writer_of(answer)) == (name, name)


@pytest.mark.parametrize("slots", [1, 2])
async def test_a_router_changes_the_model_under_load(folder: Path, slots: int) -> None:
    async with routed(folder, slots=slots) as served:
        await settled(served, *LETTERS)
        await use(served, "alpha")
        order = ["beta", "alpha", "beta"]
        answers = await switched_under_load(served, order, askers=2 * slots)
        assert {answer.model for _, answer in answers} == set(LETTERS)
        assert [writer for writer, _ in answers] == [answer.model for _, answer in answers]
        assert (await models(served))["beta"].state == "in use"
        assert (await models(served))["alpha"].state == "ready"


@pytest.mark.parametrize("program", ["built", "wheel"])
async def test_a_server_is_started_anew_under_load(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    async with followed(folder, monkeypatch, program) as (served, said):
        await settled(served, *LETTERS)
        answers = await switched_under_load(served, ["beta", "alpha"], askers=3)
        assert {answer.model for _, answer in answers} == set(LETTERS)
        assert [writer for writer, _ in answers] == [answer.model for _, answer in answers]
        assert [line for line in said if "ready" in line] == [
            f"llama-server is ready: {name}" for name in ("alpha", "beta", "alpha")
        ]


async def test_a_router_with_several_models_waits_for_a_choice(folder: Path) -> None:
    async with routed(folder) as served:
        assert "the router has several models" in served.health.reason
        await settled(served, *LETTERS)
        steps = await use(served, "beta")
        assert [s.step for s in steps if isinstance(s, Switching)] == ["finishing", "loading"]
        assert isinstance(steps[-1], Switched)
        assert (steps[-1].model, steps[-1].context) == ("beta", 2048)
        await answered_by(served, "beta")
        await served.until(model="beta", switching="", reachable=True)


async def test_the_choice_outlives_bridge_and_router(folder: Path) -> None:
    async with routed(folder) as served:
        await settled(served, *LETTERS)
        await use(served, "beta")
    async with routed(folder) as served:
        await served.until(model="beta")
        await answered_by(served, "beta")


async def test_the_configured_model_is_the_first_of_a_router(folder: Path) -> None:
    async with routed(folder, model="beta") as served:
        await served.until(model="beta")
        await settled(served, *LETTERS)
        await use(served, "alpha")
        await answered_by(served, "alpha")


async def test_a_router_is_told_of_files_that_came_later(folder: Path) -> None:
    async with routed(folder, model="alpha") as served:
        await served.until(model="alpha")
        write_tiny_gguf(folder / "gamma.gguf", favourite="z")
        await settled(served, "gamma")
        await use(served, "gamma")
        assert (await models(served))["gamma"].state == "in use"


async def test_what_the_router_does_not_know_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "stick"
    other.mkdir()
    write_tiny_gguf(other / "gamma.gguf")
    size = ("--ctx-size", "2048", "--parallel", "1")
    with server_process(tmp_path, "--models-dir", str(folder), *size) as server:
        settings = Bridge(url=server.url, model="alpha", model_folders=(str(other),))
        async with bridge(settings, tmp_path / "data") as served:
            await served.until(model="alpha")
            await settled(served, "gamma")
            await refused(served, "gamma", "the router does not know")
            await answered_by(served, "alpha")


async def test_a_router_keeps_the_old_model_when_the_new_one_fails(folder: Path) -> None:
    write_tiny_gguf(folder / "broken.gguf", architecture="nonesuch")
    async with routed(folder, model="alpha") as served:
        await served.until(model="alpha")
        await settled(served, "broken")
        await refused(served, "broken", "broken: broken: its server ended with code 1")
        await answered_by(served, "alpha")
        known = await models(served)
        assert known["alpha"].state == "in use"
        assert "could not be loaded" in known["broken"].reason


@pytest.mark.parametrize("program", ["built", "wheel"])
async def test_the_old_server_comes_back_when_the_new_one_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    write_tiny_gguf(folder / "broken.gguf", architecture="nonesuch")
    async with followed(folder, monkeypatch, program) as (served, _):
        await settled(served, "broken")
        await refused(served, "broken", "unknown model architecture")
        await answered_by(served, "alpha")
        assert "could not be loaded" in (await models(served))["broken"].reason
        assert (await models(served))["alpha"].state == "in use"


async def test_one_that_is_not_ready_in_time_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(folder, monkeypatch, "wheel", load_within_s=0.001) as (served, _):
        await settled(served, *LETTERS)
        with pytest.raises(Rejected, match=r"not ready after 0\.001 s"):
            await use(served, "beta")
        # The old one was not ready in so short a time either; it is, a moment later.
        await served.until(model="alpha")
        await answered_by(served, "alpha")


@pytest.mark.parametrize(("trial", "answers"), [("beta", "beta"), ("broken", "alpha")])
async def test_a_change_that_was_cut_off_is_taken_up_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, trial: str, answers: str
) -> None:
    """The bridge was killed while the new model was on trial."""
    write_tiny_gguf(folder / "broken.gguf", architecture="nonesuch")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    data = folder.parent / "data"
    before, now = (
        Choice(path=str(folder / f"{name}.gguf"), context=2048, slots=1, since=name)
        for name in ("alpha", trial)
    )
    choice.write(data, Chosen(now=now, before=before))
    async with model_server(data, []) as server:
        settings = Bridge(url=server.url, api_key=server.key, model_folders=(str(folder),))
        async with bridge(settings, data) as served:
            await served.until(model=answers)
            await answered_by(served, answers)
        chosen = choice.read(data, Chosen)
        assert chosen is not None
        assert (chosen.now.since, chosen.before) == (answers, None)


async def test_a_router_is_not_asked_for_what_is_not_allowed(folder: Path) -> None:
    digest = hashlib.sha256((folder / "beta.gguf").read_bytes()).hexdigest()
    async with routed(folder, model="alpha", allowed_models=(digest,)) as served:
        await served.until(model="beta")
        assert (await models(served))["beta"].sha256 == digest
        await refused(served, "alpha", "its checksum is not among")
        await answered_by(served, "beta")


async def test_one_change_at_a_time(folder: Path) -> None:
    async with routed(folder, model="alpha") as served:
        await served.until(model="alpha")
        await settled(served, *LETTERS)
        results = await asyncio.gather(
            use(served, "beta"), use(served, "beta"), return_exceptions=True
        )
        told = [str(one) for one in results if isinstance(one, Rejected)]
        assert len(told) == 1
        assert "beta is being loaded already" in told[0]
        await answered_by(served, "beta")


async def test_who_asked_may_leave_and_the_change_goes_on(folder: Path) -> None:
    async with routed(folder, model="alpha") as served:
        await served.until(model="alpha")
        await settled(served, *LETTERS)
        asked = UseModel(name="beta")
        async with aclosing(served.caller.stream(USE_MODEL, asked, deadline_s=60)) as steps:
            async for step in steps:
                assert isinstance(step, Switching)
                break
        await served.until(model="beta", switching="")
        await answered_by(served, "beta")


async def test_too_large_a_model_is_refused_and_nothing_unloaded(folder: Path) -> None:
    async with routed(folder, model="alpha", model_memory_mb=1) as served:
        await served.until(model="alpha")
        known = await settled(served, *LETTERS)
        assert "too large for this box" in known["beta"].reason
        assert known["beta"].state == "refused"
        assert known["alpha"].state == "in use"
        await refused(served, "beta", r"it needs \d+ MB for 2048 tokens, 1 MB can be had")
        await answered_by(served, "alpha")


async def test_what_cannot_be_used_is_refused(folder: Path) -> None:
    (folder / "half.gguf").write_bytes((folder / "alpha.gguf").read_bytes()[:5000])
    old = folder / "old.gguf"
    old.write_bytes(b"%PDF")
    os.utime(old, (0, 0))
    async with routed(folder, model="alpha") as served:
        await served.until(model="alpha")
        await until(served, lambda known: {"half", "old"} <= set(known))
        await refused(served, "nothing", "there is none of that name")
        await refused(served, "half", "still being copied")
        await until(served, lambda known: known["old"].state == "refused")
        await refused(served, "old", "it is no GGUF file")
        await answered_by(served, "alpha")


AGAIN = "alpha, made anew"
"""What the file calls itself that is put in the place of another one."""


async def another_file(served: Served, folder: Path) -> None:
    """Put another file in the place of the one in use, and wait until that is told."""
    await served.until(model="alpha")
    await settled(served, *LETTERS)
    await answered_by(served, "alpha")
    new = write_tiny_gguf(folder / "new", name=AGAIN, seed=1, favourite=LETTERS["beta"])
    new.rename(folder / "alpha.gguf")
    await told_of_another_file(served)
    await answered_by(served, "alpha")  # what is in memory answers on


async def told_of_another_file(served: Served) -> None:
    said = "replaced since it was loaded: run `andon model use alpha`"
    await served.until(note=f"the file of the model in use was {said}")
    known = await until(  # else it counts as being copied
        served,
        lambda known: (known["alpha"].state, known["alpha"].title) == ("in use", AGAIN),
    )
    assert (known["alpha"].reason, known["beta"].reason) == (said, "")


async def taken_up(served: Served) -> None:
    """Choose the model again: the new file answers."""
    identity = served.health.facts["identity"]
    await use(served, "alpha")
    _, answer = await served.ask(request(max_tokens=64))
    assert (answer.model, writer_of(answer)) == ("alpha", "beta"), "it writes the new one's letter"
    await served.until(note="")
    assert (await models(served))["alpha"].reason == ""
    assert served.health.facts["identity"] != identity


async def test_a_file_replaced_under_a_router_is_told_until_it_is_chosen(folder: Path) -> None:
    async with routed(folder, model="alpha") as served:
        await another_file(served, folder)
        await taken_up(served)


async def test_a_file_replaced_under_a_server_of_ours_is_told_by_the_next_bridge_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(folder, monkeypatch, "wheel") as (served, _):
        await another_file(served, folder)
        async with bridge(served.settings, folder.parent / "data") as next_one:
            await told_of_another_file(next_one)
            await taken_up(next_one)


async def test_a_file_replaced_under_somebody_elses_server_is_told(folder: Path) -> None:
    with llama_process(folder / "alpha.gguf") as server:
        async with bridge(Bridge(url=server.url), folder.parent / "data") as served:
            await served.until(model="alpha")
            (folder / "beta.gguf").rename(folder / "alpha.gguf")
            said = "was replaced since it was loaded: start its server again"
            await served.until(note=f"the file of the model in use {said}")


async def test_a_stick_that_is_pulled_while_in_use_is_told(folder: Path) -> None:
    async with routed(folder, model="alpha") as served:
        await served.until(model="alpha")
        await settled(served, *LETTERS)
        away = folder.rename(folder.with_name("pulled"))  # noqa: ASYNC240
        await until(served, lambda known: not known)
        async with asyncio.timeout(60):
            while not served.health.facts.get("note"):  # noqa: ASYNC110  a plain dict
                await asyncio.sleep(0.01)
        assert "the file of the model in use is gone" in str(served.health.facts["note"])
        assert not served.health.reason, "whoever asks it goes on asking"
        await answered_by(served, "alpha")  # what is in memory answers on
        away.rename(folder)
        await served.until(note="")
        await settled(served, *LETTERS)


async def test_a_server_of_somebody_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    with llama_process(folder / "alpha.gguf") as server:
        settings = Bridge(url=server.url, model_folders=(str(folder),))
        async with bridge(settings, tmp_path / "data") as served:
            await settled(served, *LETTERS)
            await refused(served, "beta", "is not ours to restart")
            await answered_by(served, "alpha")


async def test_without_a_server_models_are_listed_all_the_same(folder: Path) -> None:
    async with bridge(Bridge(model_folders=(str(folder),))) as served:
        known = await settled(served, *LETTERS)
        assert {one.state for one in known.values()} == {"ready"}
        with pytest.raises(Unavailable, match="no language model is configured"):
            await use(served, "alpha")


async def test_a_damaged_choice_is_told_and_removed(tmp_path: Path) -> None:
    path = choice.folder(tmp_path) / "current.json"
    path.parent.mkdir()
    path.write_bytes(b"\0" * 100)
    with pytest.raises(Exception, match=r"current\.json"):
        choice.read(tmp_path, Chosen)
    assert choice.read(tmp_path, Chosen) is None
    choice.write(tmp_path, running := Running(since="x", state="ready"))
    assert choice.read(tmp_path, Running) == running
    assert msgspec.json.decode((path.parent / "server.json").read_bytes())["state"] == "ready"
