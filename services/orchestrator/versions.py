"""The prompts in versions: the files that ship, those people saved, and which of them answers."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

from schemas.prompts import (
    ActivatedPrompt,
    ActivatePrompt,
    ListPrompts,
    PromptList,
    PromptName,
    PromptVersion,
    RollBackPrompt,
    SavedPrompt,
    SavePrompt,
    ShowPrompt,
)
from services.orchestrator.templates import Prompt, Template, digest
from services.runtime.clock import now
from services.runtime.errors import Rejected
from services.runtime.sqlite import Database

log = logging.getLogger(__name__)

NAMES: tuple[PromptName, ...] = get_args(PromptName)
_FOLDER = Path(__file__).with_name("prompts")
_TEXT = "SELECT body, note, author, created FROM prompt WHERE name = ? AND version = ?"
_NEWEST = "SELECT coalesce(max(version), 0) FROM prompt WHERE name = ?"
_INSERT = (
    "INSERT INTO prompt (name, version, body, note, author, created) VALUES (?, ?, ?, ?, ?, ?)"
)
_ACTIVE = """
SELECT id, version FROM activation WHERE name = ? AND undone IS NULL ORDER BY id DESC LIMIT 1
"""
_ACTIVATE = "INSERT INTO activation (name, version, author, created) VALUES (?, ?, ?, ?)"


@cache
def shipped(name: PromptName) -> str:
    """Return the text that ships with this Andon."""
    return (_FOLDER / f"{name}.j2").read_text(encoding="utf-8")


class Versions:
    """Keeps versions in the ledger, and the active ones at hand."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._active: dict[PromptName, tuple[int, str]] = {n: (0, shipped(n)) for n in NAMES}
        self._ready: dict[PromptName, tuple[int, Prompt]] = {}

    @classmethod
    async def open(cls, database: Database) -> Versions:
        """Take up which versions answer, and note which files ship now.

        A file that ships and is another than before answers from now on where version 0 is active;
        the former text is kept as the next version, so that it can be compared and had back.

        Raises:
            Retryable: the disk is full or failing.
        """
        versions = cls(database)
        for name in NAMES:
            former = await database.read(partial(_former, name=name))
            if former != shipped(name) and (
                kept := await database.write(partial(_upgrade, name=name))
            ):
                log.warning(
                    "the prompt %s that ships has changed; its former text is version %d",
                    name,
                    kept,
                )
            versions._active[name] = await database.read(partial(_answers, name=name))
        return versions

    def active(self, name: PromptName) -> Prompt:
        """Return what answers are made with now; the first time it takes a moment, see `warm`."""
        version, text = self._active[name]
        known, ready = self._ready.get(name, (-1, None))
        if ready is None or known != version:
            try:
                ready = Prompt(name, version, Template(text))
            except Rejected as error:
                # It was right when it was saved, by an Andon that allowed something else.
                log.error("%s@%d cannot be used, the one that ships is: %s", name, version, error)  # noqa: TRY400
                ready = Prompt(name, 0, Template(shipped(name)))
            self._ready[name] = (version, ready)
        return ready

    def warm(self) -> None:
        """Load Jinja2, which takes a moment; called from a thread of its own."""
        for name in NAMES:
            Template(shipped(name))

    @property
    def own(self) -> str:
        """Return which prompts of people's own are active, `fault.en@3 ask.zh@1`."""
        return " ".join(
            f"{name}@{version}" for name, (version, _) in self._active.items() if version
        )

    async def listed(self, request: ListPrompts) -> PromptList:
        """Return the active version of each prompt, or all of one."""
        if request.name is None:
            return PromptList(
                prompts=[
                    await self._db.read(
                        partial(_described, name=name, version=self._active[name][0])
                    )
                    for name in NAMES
                ]
            )
        name = request.name

        def read(db: sqlite3.Connection) -> list[PromptVersion]:
            numbers = [0] if request.after < 0 else []
            numbers += [
                row[0]
                for row in db.execute(
                    "SELECT version FROM prompt WHERE name = ? AND version > ? ORDER BY version"
                    " LIMIT ?",
                    (name, request.after, request.limit + 1),
                )
            ]
            return [_described(db, name, number) for number in numbers]

        found = await self._db.read(read)
        some = found[: request.limit]
        return PromptList(
            prompts=some, next=some[-1].version if len(found) > len(some) and some else 0
        )

    async def show(self, request: ShowPrompt) -> PromptVersion:
        """Return a version with its text.

        Raises:
            Rejected: there is no such version.
        """
        version = self._active[request.name][0] if request.version is None else request.version
        return await self._db.read(lambda db: _described(db, request.name, version, text=True))

    async def prompt(self, name: PromptName, version: int | None) -> Prompt:
        """Return a version, the active one for None, ready to be used; raises as `show`."""
        if version is None:
            return self.active(name)
        found = await self.show(ShowPrompt(name=name, version=version))
        return Prompt(name, version, Template(found.text))

    async def save(self, request: SavePrompt) -> SavedPrompt:
        """Keep a text as the next version.

        Raises:
            Rejected: it is no right template; says on which line, and what is allowed.
            Retryable: the disk is full or failing.
        """
        Template(request.text)
        name = request.name

        def write(db: sqlite3.Connection) -> SavedPrompt:
            newest = _newest(db, name)
            if unchanged := newest > 0 and _text(db, name, newest) == request.text:
                version = newest
            else:
                version = newest + 1
                row = (name, version, request.text, request.note, request.author, now())
                db.execute(_INSERT, row)
            if request.activate:
                _activate(db, name, version, request.author)
            return SavedPrompt(prompt=_described(db, name, version), unchanged=unchanged)

        saved = await self._db.write(write)
        await self._learn(name)
        return saved

    async def activate(self, request: ActivatePrompt) -> ActivatedPrompt:
        """Make new answers with a version from now on.

        Raises:
            Rejected: there is no such version, or it is no right template any more.
            Retryable: the disk is full or failing.
        """
        await self.prompt(request.name, request.version)
        return await self._change(
            request.name, lambda db: _activate(db, request.name, request.version, request.author)
        )

    async def roll_back(self, request: RollBackPrompt) -> ActivatedPrompt:
        """Let the version answer that was active before.

        Raises:
            Rejected: there was none.
            Retryable: the disk is full or failing.
        """
        done = await self._change(request.name, lambda db: _undo(db, request.name))
        log.info("%s is rolled back by %s", request.name, request.author or "somebody")
        return done

    async def _change(
        self, name: PromptName, change: Callable[[sqlite3.Connection], None]
    ) -> ActivatedPrompt:
        def write(db: sqlite3.Connection) -> ActivatedPrompt:
            before, _ = _answers(db, name)
            change(db)
            after, _ = _answers(db, name)
            return ActivatedPrompt(prompt=_described(db, name, after), before=before)

        done = await self._db.write(write)
        await self._learn(name)
        log.info("%s: version %d answers, no longer %d", name, done.prompt.version, done.before)
        return done

    async def _learn(self, name: PromptName) -> None:
        self._active[name] = await self._db.read(lambda db: _answers(db, name))


def _newest(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(_NEWEST, (name,)).fetchone()[0])


def _text(db: sqlite3.Connection, name: PromptName, version: int) -> str:
    row = db.execute(_TEXT, (name, version)).fetchone() if version else None
    return str(row["body"]) if row else shipped(name)


def _answers(db: sqlite3.Connection, name: PromptName) -> tuple[int, str]:
    """Return the number and the text of the version that is active."""
    row = db.execute(_ACTIVE, (name,)).fetchone()
    version = int(row["version"]) if row else 0
    return version, _text(db, name, version)


def _activate(db: sqlite3.Connection, name: PromptName, version: int, author: str) -> None:
    if _answers(db, name)[0] != version:
        db.execute(_ACTIVATE, (name, version, author, now()))


def _undo(db: sqlite3.Connection, name: PromptName) -> None:
    row = db.execute(_ACTIVE, (name,)).fetchone()
    if row is None:
        raise Rejected(
            f"roll {name} back",
            "no version was active before the one that is",
            f"`andon prompt activate {name} N` takes any; `andon prompt list {name}` shows them",
        )
    db.execute("UPDATE activation SET undone = ? WHERE id = ?", (now(), row["id"]))


def _described(
    db: sqlite3.Connection, name: PromptName, version: int, *, text: bool = False
) -> PromptVersion:
    """Return a version, with its text where that is wanted. Raises Rejected."""
    row: Any = db.execute(_TEXT, (name, version)).fetchone() if version else None
    newest = _newest(db, name)
    if version and row is None:
        raise Rejected(
            f"find {name}@{version}",
            "there is no such version",
            f"there are 0 to {newest}" if newest else "there is only 0, the file that ships",
        )
    body = row["body"] if row else shipped(name)
    said = {key: row[key] for key in ("note", "author", "created")} if row else {}
    return PromptVersion(
        name=name,
        version=version,
        active=_answers(db, name)[0] == version,
        newest=newest,
        digest=digest(body),
        text=body if text else "",
        **(said or {"note": "ships with Andon"}),
    )


def _former(db: sqlite3.Connection, name: PromptName) -> str:
    """Return the text that shipped when the ledger was last opened; empty where none did."""
    row = db.execute("SELECT body FROM shipped WHERE name = ?", (name,)).fetchone()
    return str(row["body"]) if row else ""


def _upgrade(db: sqlite3.Connection, name: PromptName) -> int:
    """Note what ships now; return the version the former text is kept as, 0 where none was."""
    former = db.execute("SELECT body, created FROM shipped WHERE name = ?", (name,)).fetchone()
    db.execute(
        "INSERT INTO shipped (name, body, created) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET body = excluded.body, created = excluded.created",
        (name, shipped(name), now()),
    )
    if former is None:
        return 0
    version = _newest(db, name) + 1
    note = f"shipped with Andon from {former['created'][:10]} to {now()[:10]}"
    db.execute(_INSERT, (name, version, former["body"], note, "", now()))
    return version
