"""Which codes may strike which asset, and how far the preparations for them are: in the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import msgspec

from schemas.answers import Language
from services.orchestrator.night import Basis
from services.runtime.sqlite import Database

UNDEFINED = "no manual defines it"
DOUBTFUL = "what the model wrote does not stand on the manuals"
"""Why a code has no prepared answer."""
ASSET = "prepared "
"""Begins the fact of an asset's coverage."""
_TOLD = 50
"""Assets whose coverage the status tells."""

_LATEST = 5000
"""Answers of the past that tell which codes occur."""
_OCCURRED = """
SELECT asset, lang, code FROM (
    SELECT json_extract(work, '$.asset') AS asset, json_extract(work, '$.lang') AS lang,
        json_extract(work, '$.code') AS code, id
    FROM (SELECT id, CAST(body AS TEXT) AS work FROM job ORDER BY id DESC LIMIT ?)
) WHERE asset IS NOT NULL AND code <> ''
GROUP BY asset, lang, code ORDER BY count(*) DESC, max(id) DESC
"""
_PUT = """
INSERT INTO plan (asset, lang, code, rank) VALUES (?, ?, ?, ?)
ON CONFLICT (asset, lang, code) DO UPDATE SET rank = excluded.rank WHERE rank <> excluded.rank
"""
DUE = """
SELECT asset, lang, code FROM plan WHERE lang = ? AND basis <> ? ORDER BY rank, asset LIMIT ?
"""
# Without an index: all of it is counted, and lies in the order of the assets.
COVERED = """
SELECT asset, count(*) AS codes, sum(basis = ?2 AND reason = '') AS ready,
    sum(basis = ?2 AND reason = ?3) AS doubtful, sum(basis <> ?2) AS due
FROM plan WHERE +lang = ?1 GROUP BY asset
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A code that may strike an asset."""

    asset: str
    lang: Language
    code: str

    def __str__(self) -> str:
        """Return it as a person reads it; a bare number is kept with a sign before it."""
        number = self.code.removeprefix("#")
        return f"{f'code {number}' if number.isdigit() else self.code} for {self.asset}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the preparations for an asset are."""

    codes: int = 0
    """That may strike it."""
    ready: int = 0
    """With a prepared answer that stands."""
    doubtful: int = 0
    """For which the model wrote none that stands on the manuals."""
    due: int = 0
    """Not looked at yet."""

    @property
    def undefined(self) -> int:
        """Return how many no manual defines: there is nothing to prepare."""
        return self.codes - self.ready - self.doubtful - self.due

    def plus(self, other: Coverage) -> Coverage:
        """Return both together."""
        return Coverage(
            self.codes + other.codes,
            self.ready + other.ready,
            self.doubtful + other.doubtful,
            self.due + other.due,
        )


def facts_of(assets: Mapping[str, Coverage]) -> dict[str, str | int]:
    """Return what the status says of the preparations, in all and by asset."""
    whole = reduce(Coverage.plus, assets.values(), Coverage())
    facts: dict[str, str | int] = {
        "prepared": whole.ready,
        "prepared_of": whole.codes,
        "to_prepare": whole.due,
        "not_grounded": whole.doubtful,
        "in_no_manual": whole.undefined,
    }
    for asset, one in sorted(assets.items())[:_TOLD]:
        doubtful = f", {one.doubtful} not grounded" if one.doubtful else ""
        facts[f"{ASSET}{asset}"] = f"{one.ready} of {one.codes}{doubtful}"
    return facts


class Plan:
    """The plan."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def occurred(self) -> list[Case]:
        """Return the codes that were reported, the most frequent first."""
        rows = await self._db.fetch(_OCCURRED, (_LATEST,))
        return [Case(row["asset"], row["lang"], row["code"]) for row in rows]

    async def put(self, asset: str, lang: Language, codes: Sequence[str]) -> None:
        """Put down which codes may strike an asset, the likely ones first, and no others."""

        def write(db: sqlite3.Connection) -> None:
            wanted = set(codes)
            there = db.execute(
                "SELECT code FROM plan WHERE asset = ? AND lang = ?", (asset, lang)
            ).fetchall()
            db.executemany(
                "DELETE FROM plan WHERE asset = ? AND lang = ? AND code = ?",
                [(asset, lang, code) for (code,) in there if code not in wanted],
            )
            db.executemany(_PUT, [(asset, lang, code, n) for n, code in enumerate(codes)])

        await self._db.write(write)

    async def only(self, assets: Sequence[str]) -> None:
        """Forget the plans of all other assets."""
        named = msgspec.json.encode(list(assets)).decode()
        await self._db.write(
            lambda db: db.execute(
                "DELETE FROM plan WHERE asset NOT IN (SELECT value FROM json_each(?))", (named,)
            )
        )

    async def due(self, lang: Language, basis: Basis, most: int) -> list[Case]:
        """Return so many codes whose answers are due at most, the likeliest first."""
        rows = await self._db.fetch(DUE, (lang, str(basis), most))
        return [Case(row["asset"], row["lang"], row["code"]) for row in rows]

    async def coverage(self, lang: Language, basis: Basis) -> dict[str, Coverage]:
        """Return by asset how far the preparations are."""
        rows = await self._db.fetch(COVERED, (lang, str(basis), DOUBTFUL))
        return {
            row["asset"]: Coverage(row["codes"], row["ready"], row["doubtful"], row["due"])
            for row in rows
        }


def tick(db: sqlite3.Connection, case: Case, basis: Basis, reason: str) -> None:
    """Put down, in a transaction, that there is an answer for a code, or why not."""
    db.execute(
        "UPDATE plan SET basis = ?, reason = ? WHERE asset = ? AND lang = ? AND code = ?",
        (str(basis), reason, case.asset, case.lang, case.code),
    )
