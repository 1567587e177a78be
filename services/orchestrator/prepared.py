"""Answers that were prepared before a fault struck, in the ledger."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from schemas.answers import Answer, Language
from schemas.retrieval import Found
from services.orchestrator.draft import Draft
from services.orchestrator.made import Outcome, Record
from services.orchestrator.night import Basis
from services.orchestrator.plan import Case, tick
from services.orchestrator.prompt import said
from services.orchestrator.reuse import bindings
from services.orchestrator.rows import keep_record
from services.orchestrator.templates import Prompt
from services.orchestrator.triggers import question_about
from services.runtime.errors import Rejected
from services.runtime.sqlite import Database, Row

_KEEP = """
INSERT INTO prepared
    (unit, lang, prompt, model, generation, shown, body, reason, made_at, made)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (unit, lang, prompt, model) DO UPDATE SET generation = excluded.generation,
    shown = excluded.shown, body = excluded.body, reason = excluded.reason,
    made_at = excluded.made_at, made = excluded.made
"""
_GIVE = """
SELECT prepared.body AS answer, shown, generation, made.*
FROM prepared JOIN made ON made.id = prepared.made
WHERE unit = ?1 AND lang = ?2 AND prompt = ?3
    AND ?5 IN ('', model) AND prepared.body IS NOT NULL
ORDER BY generation = ?4 DESC, made_at DESC LIMIT 1
"""
_KEY = "unit = ? AND lang = ? AND prompt = ? AND model = ?"


@dataclass(frozen=True, slots=True)
class Kept:
    """What was prepared for a unit."""

    shown: bytes
    """Digest of what the model was shown."""
    generation: int
    """Of the corpus it was last found to stand on."""
    reason: str
    """Why it is no answer; empty where it is one."""


def unit_of(draft: Draft, found: Found) -> str:
    """Return what an answer is of: code and revision of the manual that defines it best.

    Which of its passages comes first may depend on the machine's own words beside the code; what
    the code means there does not. With them goes for which machines the documents are that were
    found, and what the prompt says of the machine. Empty where no manual defines the code.
    """
    if not found.hits or not found.codes or found.hits[0].by != "code":
        return ""
    document = found.hits[0].document
    parts = (
        found.codes[0],
        document.doc_id,
        document.revision,
        bindings(found.hits),
        *said(draft.prompt, draft.work),
    )
    return msgspec.json.encode(parts).decode()


def told(prompt: Prompt) -> str:
    """Return which prompt it is, and which text under that name."""
    return f"{prompt.ref} {prompt.template.digest}"


def shown(draft: Draft, found: Found) -> bytes:
    """Return a digest of all that the model is shown of a code, the machine's own words left aside.

    Raises:
        Rejected: as `Draft.request`.
    """
    code = found.codes[0]
    question = question_about(code, "", draft.work.lang)
    work = msgspec.structs.replace(draft.work, code=code, question=question, text="")
    request = dataclasses.replace(draft, work=work).request("", "advice")
    return blake2b(msgspec.msgpack.encode(request), digest_size=16).digest()


class Prepared:
    """Prepared answers."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._some = False

    @property
    def some(self) -> bool:
        """Return whether anything was ever prepared."""
        return self._some

    async def open(self) -> None:
        """See what is there."""
        self._some = await self._db.first("SELECT 1 FROM prepared LIMIT 1") is not None

    async def given(self, draft: Draft, found: Found, model: str) -> Outcome | None:
        """Return what was prepared for a fault; None where that is nothing that stands.

        Args:
            draft: of its answer; a person's question, without a code, is answered for itself.
            found: by its code.
            model: as `made.known_as` has it; empty while that is unknown: then the latest of any.

        Raises:
            Retryable: the disk fails.
        """
        unit = unit_of(draft, found) if draft.work.code else ""
        if not unit:
            return None
        row = await self._db.first(
            _GIVE, (unit, draft.work.lang, told(draft.prompt), found.generation, model)
        )
        if row is None or not self._stands(row, draft, found):
            return None
        record = Record(row["id"], row["body"], row["request"], row["created"])
        return Outcome(msgspec.json.decode(row["answer"], type=Answer), record)

    @staticmethod
    def _stands(row: Row, draft: Draft, found: Found) -> bool:
        """Return whether a prepared answer rests on what the manuals say now.

        After a change of any manual it was not looked at again yet; where the model would be shown
        the same, the change was elsewhere.
        """
        if row["generation"] == found.generation:
            return True
        try:
            return bool(row["shown"] == shown(draft, found))
        except Rejected:
            return False  # the prompt cannot be filled: the live request will say so

    async def kept(self, unit: str, lang: Language, basis: Basis) -> Kept | None:
        """Return what was prepared for a unit with this prompt and model, whenever."""
        row = await self._db.first(
            f"SELECT shown, generation, reason FROM prepared WHERE {_KEY}",  # noqa: S608
            (unit, lang, basis.prompt, basis.model),
        )
        return Kept(row["shown"], row["generation"], row["reason"]) if row else None

    async def checked(self, case: Case, basis: Basis, reason: str = "", *, unit: str = "") -> None:
        """Put down that there is an answer, or why not.

        Args:
            case: what was looked at.
            basis: with what.
            reason: why there is none.
            unit: whose answer was kept and still stands.
        """

        def write(db: sqlite3.Connection) -> None:
            tick(db, case, basis, reason)
            db.execute(
                f"UPDATE prepared SET generation = ? WHERE {_KEY}",  # noqa: S608
                (basis.generation, unit, case.lang, basis.prompt, basis.model),
            )

        await self._db.write(write)

    async def keep(
        self,
        case: Case,
        basis: Basis,
        *,
        unit: str,
        digest: bytes,
        outcome: Outcome,
        reason: str = "",
    ) -> None:
        """Keep what the model wrote of a unit, and why that is no answer, if so."""
        body = None if reason else msgspec.json.encode(outcome.answer)
        row = (unit, case.lang, basis.prompt, basis.model, basis.generation, digest, body, reason)
        self._some = True

        def write(db: sqlite3.Connection) -> None:
            keep_record(db, outcome.record)
            db.execute(_KEEP, (*row, time.time(), outcome.record.id))
            tick(db, case, basis, reason)

        await self._db.write(write)

    async def tidy(self, basis: Basis, *, keep_s: float) -> None:
        """Forget what was not found to stand on the manuals of now, and what is old.

        Args:
            basis: for which the whole plan was gone through.
            keep_s: what was made with another prompt or model is kept this long, seconds.
        """
        await self._db.write(
            lambda db: db.execute(
                "DELETE FROM prepared WHERE (prompt = ? AND model = ? AND generation <> ?)"
                " OR made_at < ? AND generation <> ?",
                (
                    basis.prompt,
                    basis.model,
                    basis.generation,
                    time.time() - keep_s,
                    basis.generation,
                ),
            )
        )
