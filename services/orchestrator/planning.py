"""Which codes may strike which asset: those that occurred, and those its manuals define."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import get_args

from schemas.answers import Language
from schemas.channels import CORPUS, UNITS
from schemas.retrieval import CorpusQuery, UnitQuery
from services.orchestrator.night import planned, worth_preparing
from services.orchestrator.plan import Case, Plan
from services.runtime.rpc import Caller

_RPC_S = 30.0


class Planning:
    """Keeps the plan of what to prepare; only what changed is looked at again."""

    def __init__(self, plan: Plan, caller: Caller, langs: Sequence[Language]) -> None:
        """Begin with nothing known.

        Args:
            plan: in the ledger.
            caller: for the retriever.
            langs: in which answers are prepared for every asset.
        """
        self._plan = plan
        self._caller = caller
        self._everywhere = langs
        self.langs = list(langs)
        """In which answers are planned for some asset, those of every asset first."""
        self._seen: object = None
        self._generation: int | None = None
        self._others_gone = False
        """Whether plans of former assets were dropped since the manuals changed."""
        self._bound: list[str] = []
        """Assets that documents name."""
        self._planned: dict[str, list[Case]] = {}
        """What had occurred at each asset when it was planned."""

    async def renew(self, generation: int, given: int) -> bool:
        """Put down which codes may strike, where manuals or what occurred have changed since.

        Args:
            generation: of the corpus.
            given: how many answers were given: without another one nothing new occurred.

        Returns:
            Whether it was so.

        Raises:
            AndonError: the retriever is away, or the ledger cannot be read or written.
        """
        if (generation, given) == self._seen:
            return False
        if generation != self._generation:
            self._bound = await self._assets()
            self._planned.clear()
            self._others_gone = False
            self._generation = generation
        occurred: dict[str, list[Case]] = {}
        for case in await self._plan.occurred():
            occurred.setdefault(case.asset, []).append(case)
        assets = list(dict.fromkeys([*occurred, *self._bound]))
        due = [asset for asset in assets if self._is_new(asset, occurred.get(asset, []))]
        for asset in due:
            await self._put(asset, occurred.get(asset, []))
        gone = self._planned.keys() - set(assets)
        if gone or not self._others_gone:
            await self._plan.only(assets)
            self._others_gone = True
        for asset in gone:
            del self._planned[asset]
        self.langs = _langs(self._everywhere, chain.from_iterable(self._planned.values()))
        self._seen = (generation, given)
        return bool(due or gone)

    def _is_new(self, asset: str, occurred: list[Case]) -> bool:
        """Return whether other codes occurred than were planned for; their order does not count."""
        known = self._planned.get(asset)
        return known is None or set(known) != set(occurred)

    async def _put(self, asset: str, occurred: list[Case]) -> None:
        units = await self._units(asset)
        # A machine whose faults come with words of another language is answered in that.
        langs = _langs(self._everywhere, occurred)
        for lang in get_args(Language):
            seen = [case.code for case in occurred if case.lang == lang]
            await self._plan.put(asset, lang, planned(seen, units) if lang in langs else [])
        self._planned[asset] = occurred

    async def _assets(self) -> list[str]:
        """Return the assets that documents name, patterns left aside."""
        found: dict[str, None] = {}
        async for page in self._caller.pages(CORPUS, CorpusQuery(totals=False), deadline_s=_RPC_S):
            for held in page.documents:
                if held.active:
                    plain = (one for one in held.document.assets if not {"+", "#"} & set(one))
                    found |= dict.fromkeys(plain)
        return list(found)

    async def _units(self, asset: str) -> list[str]:
        """Return the fault codes that the manuals of an asset define."""
        return [
            unit.code
            async for page in self._caller.pages(UNITS, UnitQuery(asset=asset), deadline_s=_RPC_S)
            for unit in page.units
            if worth_preparing(unit)
        ]


def _langs(everywhere: Sequence[Language], occurred: Iterable[Case]) -> list[Language]:
    """Return some languages, then those that codes occurred in besides."""
    return list(dict.fromkeys([*everywhere, *(case.lang for case in occurred)]))
