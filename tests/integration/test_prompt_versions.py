"""Versions of prompts in a real ledger: numbered, never changed, made active, rolled back."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.prompts import (
    ActivatePrompt,
    ListPrompts,
    PromptName,
    RollBackPrompt,
    SavedPrompt,
    SavePrompt,
    ShowPrompt,
)
from services.orchestrator import versions as module
from services.orchestrator.ledger import MIGRATIONS, Ledger
from services.orchestrator.templates import digest
from services.orchestrator.versions import NAMES, Versions, shipped
from services.runtime.errors import Rejected

pytestmark = pytest.mark.integration

NAME: PromptName = "fault.en"


def text(system: str) -> str:
    question = "{% block question %}{{ question }}{% endblock %}"
    return f"{{% block system %}}{system}{{% endblock %}}{question}"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(tmp_path / "ledger.db")
    yield opened
    await opened.close()


@pytest.fixture
async def versions(ledger: Ledger) -> Versions:
    return await Versions.open(ledger.database)


async def save(versions: Versions, system: str, *, activate: bool = False) -> SavedPrompt:
    request = SavePrompt(name=NAME, text=text(system), note="n", author="me", activate=activate)
    return await versions.save(request)


async def activate(versions: Versions, number: int) -> tuple[int, int]:
    done = await versions.activate(ActivatePrompt(name=NAME, version=number))
    return done.prompt.version, done.before


async def roll_back(versions: Versions) -> tuple[int, int]:
    done = await versions.roll_back(RollBackPrompt(name=NAME))
    return done.prompt.version, done.before


async def test_at_first_the_files_answer(versions: Versions) -> None:
    listed = await versions.listed(ListPrompts())
    assert [(p.name, p.version, p.active, p.newest) for p in listed.prompts] == [
        (name, 0, True, 0) for name in NAMES
    ]
    assert versions.own == ""
    for name in NAMES:
        assert versions.active(name).ref == f"{name}@0"
        shown = await versions.show(ShowPrompt(name=name))
        assert (shown.text, shown.digest) == (shipped(name), digest(shipped(name)))


async def test_versions_are_numbered_and_never_change(versions: Versions) -> None:
    first = await save(versions, "one")
    assert (first.prompt.version, first.prompt.active, first.unchanged) == (1, False, False)
    assert (await save(versions, "two")).prompt.version == 2
    again = await save(versions, "two")
    assert (again.prompt.version, again.unchanged) == (2, True)
    assert (await save(versions, "one")).prompt.version == 3
    shown = await versions.show(ShowPrompt(name=NAME, version=1))
    assert (shown.text, shown.note, shown.author) == (text("one"), "n", "me")
    assert shown.created.endswith("Z")
    listed = await versions.listed(ListPrompts(name=NAME))
    assert [(p.version, p.active, p.text) for p in listed.prompts] == [
        (0, True, ""),
        (1, False, ""),
        (2, False, ""),
        (3, False, ""),
    ]
    other = await versions.listed(ListPrompts(name="ask.zh"))
    assert [p.version for p in other.prompts] == [0]


async def test_a_list_comes_page_by_page(versions: Versions) -> None:
    for number in range(5):
        await save(versions, f"v{number}")
    got, after = [], -1
    while after:
        page = await versions.listed(ListPrompts(name=NAME, after=after, limit=2))
        assert len(page.prompts) <= 2
        got += [p.version for p in page.prompts]
        after = page.next
    assert got == [0, 1, 2, 3, 4, 5]


async def test_what_is_active_answers_and_goes_back_step_by_step(
    ledger: Ledger, versions: Versions
) -> None:
    for system in ("one", "two", "three"):
        await save(versions, system)
    assert await activate(versions, 1) == (1, 0)
    assert versions.active(NAME).template.system == "one"
    assert await activate(versions, 3) == (3, 1)
    assert await activate(versions, 3) == (3, 3), "twice is once"
    assert (versions.active(NAME).ref, versions.own) == ("fault.en@3", "fault.en@3")
    assert versions.active("fault.zh").version == 0
    anew = await Versions.open(ledger.database)
    assert anew.active(NAME).template.system == "three", "a restart changes nothing"
    assert await roll_back(versions) == (1, 3)
    assert versions.active(NAME).template.system == "one"
    assert await roll_back(versions) == (0, 1)
    assert versions.active(NAME).template.source == shipped(NAME)
    with pytest.raises(Rejected, match="no version was active before"):
        await roll_back(versions)
    assert await activate(versions, 2) == (2, 0)
    assert await activate(versions, 0) == (0, 2)
    assert await roll_back(versions) == (2, 0), "the file that ships is one as well"


async def test_saved_and_active_in_one_go(versions: Versions) -> None:
    saved = await save(versions, "one", activate=True)
    assert saved.prompt.active
    assert versions.active(NAME).template.system == "one"


async def test_what_is_not_there_or_not_right_is_refused(versions: Versions) -> None:
    with pytest.raises(Rejected, match=r"no such version .*there is only 0"):
        await activate(versions, 1)
    await save(versions, "one")
    with pytest.raises(Rejected, match=r"find fault.en@7: .*there are 0 to 1"):
        await versions.show(ShowPrompt(name=NAME, version=7))
    with pytest.raises(Rejected, match="line 1: asset in block system"):
        await save(versions, "{{ asset }}")
    assert len((await versions.listed(ListPrompts(name=NAME))).prompts) == 2


async def test_another_andon_ships_another_text(
    ledger: Ledger, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(versions, "mine", activate=True)
    former = {name: shipped(name) for name in NAMES}
    monkeypatch.setattr(module, "shipped", lambda name: text(f"new {name}"))
    newer = await Versions.open(ledger.database)
    assert newer.active(NAME).template.system == "mine", "what people chose stays"
    assert newer.active("ask.en").template.system == "new ask.en", "what nobody changed is new"
    kept = await newer.show(ShowPrompt(name="ask.en", version=1))
    assert kept.text == former["ask.en"]
    assert kept.note.startswith("shipped with Andon from 20")
    assert (await newer.show(ShowPrompt(name=NAME, version=2))).text == former[NAME]
    again = await Versions.open(ledger.database)
    assert (await again.show(ShowPrompt(name="ask.en"))).newest == 1, "it is kept once"
    assert await roll_back(newer) == (0, 1)
    assert newer.active(NAME).template.system == "new fault.en"


async def test_a_text_this_andon_does_not_allow_any_more_leaves_the_file_to_answer(
    ledger: Ledger, versions: Versions, caplog: pytest.LogCaptureFixture
) -> None:
    await save(versions, "one", activate=True)
    async with ledger.database.transaction() as db:
        await db.execute("UPDATE prompt SET body = '{{ gone }}'")
    opened = await Versions.open(ledger.database)
    assert opened.active(NAME).ref == "fault.en@0"
    assert opened.active(NAME).ref == "fault.en@0"
    assert [r.levelname for r in caplog.records].count("ERROR") == 1, "it is said once"
    with pytest.raises(Rejected, match="something outside of the blocks"):
        await opened.prompt(NAME, 1)


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
async def test_a_ledger_of_any_earlier_version_takes_prompts(tmp_path: Path, version: int) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(f"{''.join(MIGRATIONS[:version])}; PRAGMA user_version = {version};")
    ledger = await Ledger.open(path)
    try:
        versions = await Versions.open(ledger.database)
        assert (await save(versions, "one", activate=True)).prompt.version == 1
        assert versions.active(NAME).ref == "fault.en@1"
    finally:
        await ledger.close()
