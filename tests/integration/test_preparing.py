"""The night shift's own course: what cannot be prepared holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.channels import CORPUS, SEARCH
from schemas.generation import Generate, Generated, Point
from schemas.retrieval import (
    CorpusDocument,
    CorpusState,
    DocumentRef,
    Field,
    Found,
    Hit,
    Passage,
    Unit,
    UnitList,
)
from services.orchestrator import preparing
from services.orchestrator.asking import Asking
from services.orchestrator.flow import Flow
from services.orchestrator.ledger import Ledger
from services.orchestrator.night import Basis
from services.orchestrator.prepared import Coverage, Prepared, told
from services.orchestrator.preparing import Preparing, Wanted
from services.orchestrator.versions import Versions
from services.runtime.config import Config, Night, Orchestrator
from services.runtime.errors import Retryable
from services.runtime.process import Health
from services.runtime.rpc import Caller

pytestmark = pytest.mark.integration

ASSETS = ("plant/m1", "plant/m2")
CODES = ("E001", "E002", "E003", "E004")
MANUAL = DocumentRef(doc_id="d", revision=1, title="D", file="d.pdf", assets=list(ASSETS))


def passage(code: str) -> Passage:
    fields = [
        Field(name="Code", value=code),
        Field(name="Cause", value=f"the {code} fuse blew"),
        Field(name="Remedy", value=f"replace the {code} fuse"),
    ]
    text = " | ".join(f"{field.name}: {field.value}" for field in fields)
    return Passage(ordinal=CODES.index(code), text=text, kind="row", fields=fields)


class Retriever:
    """Finds one row a code; the second machine is shown another passage of the manual besides."""

    async def call(self, rpc: Any, request: Any, *, deadline_s: float) -> Found:
        assert (rpc, deadline_s > 0) == (SEARCH, True)
        shown = [Hit(document=MANUAL, passage=passage(request.code), score=1.0, by="code")]
        if request.asset == ASSETS[1]:
            more = Passage(ordinal=9, text="Fuses are in the cabinet.")
            shown.append(Hit(document=MANUAL, passage=more, score=0.5, by="words"))
        return Found(hits=shown, codes=[request.code], generation=3)

    async def pages(
        self, rpc: Any, request: Any, *, deadline_s: float
    ) -> AsyncGenerator[Any, None]:
        assert deadline_s > 0
        if rpc is CORPUS:
            held = CorpusDocument(document=MANUAL, passages=9, active=True)
            yield CorpusState(documents=[held], passages=9, vectors=0, generation=3, embedding="")
        else:
            headers = ["Code", "Cause", "Remedy"]
            assert request.asset in ASSETS
            yield UnitList(
                units=[Unit(code=code, kind="row", headers=headers) for code in CODES],
                generation=3,
            )


class Model:
    """Repeats the manual; breaks on one code, and on another as nothing should."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def urge(self, request_id: str, priority: object) -> None:
        raise AssertionError(f"nobody waits for {request_id}: {priority}")

    async def generate(self, request: Generate, *, deadline_s: float) -> Generated:
        assert request.background
        assert deadline_s > 0
        code = next(code for code in CODES if code in request.question)
        self.asked.append(code)
        if code == "E001":
            raise Retryable("ask the language model", "no JSON")
        if code == "E003":
            raise ZeroDivisionError
        text = f"Replace the {code} fuse."
        point = Point(text=text, passages=[1])
        used = len(request.passages)
        return Generated(summary=text, causes=[], actions=[point], model="phi", passages_used=used)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(tmp_path / "ledger.db")
    yield opened
    await opened.close()


async def test_what_cannot_be_prepared_holds_nobody_up_and_machines_share_what_is(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_AGAIN_S", 0.01)
    monkeypatch.setattr(preparing, "_BATCH", 3)
    config = Config(orchestrator=Orchestrator(night=Night(after_s=0, share=1)))
    caller, model = cast("Caller", Retriever()), Model()
    versions = await Versions.open(ledger.database)
    prepared = Prepared(ledger.database)
    flow = Flow(
        config,
        ledger,
        cast("Any", None),
        caller,
        versions=versions,
        asking=cast("Asking", model),
        committed=lambda: None,
        model_ready=lambda: True,
        prepared=prepared,
        model=lambda: "phi",
        alarm=lambda _place, _key, _id: (None, True),
    )
    wanted = Wanted(
        idle_since=time.monotonic,
        model=lambda: "phi",
        generation=lambda: 3,
        flow=flow,
        asking=cast("Asking", model),
        number=ledger.number,
    )
    basis = Basis(3, "phi", told(versions.active("fault.en")))
    night = asyncio.create_task(Preparing(config, prepared, caller, Health(), wanted).run())
    fine = {asset: Coverage(codes=4, ready=2, due=2) for asset in ASSETS}
    async with asyncio.timeout(60):
        while await prepared.coverage("en", basis) != fine:
            assert not night.done(), night.exception()
            await asyncio.sleep(0.01)
    night.cancel()
    await asyncio.wait([night])
    # Once a machine for what breaks, once in all for what both have.
    assert sorted(model.asked) == ["E001", "E001", "E002", "E003", "E003", "E004"]
