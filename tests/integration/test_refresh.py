"""Answers of alarms that stand follow the manuals: what is lost, removed, added, read again."""

# ruff: noqa: ASYNC110  (what a search finds is no event)
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from schemas.answers import Answer
from schemas.channel import DEFAULT_PREFIX
from schemas.channels import ANSWER
from services.orchestrator.refresh import is_stale
from services.orchestrator.service import OrchestratorService
from services.runtime.fake_bus import FakeBus
from tests.support.andon import Andon, listening
from tests.support.plant import Plant, manual, opened
from tests.support.sample import sample_manual
from tests.support.services import running

pytestmark = pytest.mark.integration

SOON_S = 60.0


def test_what_is_stale() -> None:
    active = {("d1", 2), ("d2", 1)}
    assert not is_stale({("d1", 2), ("d2", 1)}, active, grown=True)
    assert is_stale({("d1", 1)}, active, grown=False)
    assert is_stale({("d1", 2), ("d3", 1)}, active, grown=False)
    # One without citations may find some when manuals came, and only then.
    assert is_stale(set(), active, grown=True)
    assert not is_stale(set(), active, grown=False)


async def test_a_lost_corpus_says_so_until_all_is_read_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as plant:
        async with plant.retriever(), plant.ingest():
            await plant.add(manual(tmp_path / "in"))
            await plant.until("ready")
            assert not (await plant.search("E005")).incomplete
        corpus = tmp_path / "corpus.db"
        corpus.write_bytes(bytes(corpus.stat().st_size))
        async with plant.retriever() as context:
            found = await plant.search("E005")
            assert (found.hits, found.incomplete) == ([], True)
            assert "corpus.db was damaged" in context.health.reason
            assert context.health.facts["incomplete"] is True
            assert "being read again" in (await _answered(plant)).note
            async with plant.ingest(), asyncio.timeout(SOON_S):
                while (found := await plant.search("E005")).incomplete:
                    await asyncio.sleep(0.1)
                # Not a moment too early.
                assert found.hits
            assert context.health.reason == ""
            assert context.health.facts["incomplete"] is False


async def _answered(plant: Plant) -> Answer:
    """The answer of an orchestrator to a fault."""
    service = OrchestratorService(plant.config)
    async with (
        FakeBus(plant._broker, "plc", reply_topic="t/reply/plc") as bus,
        running(plant._broker, service, plant.config),
        asyncio.timeout(SOON_S),
    ):
        answers = await bus.consume(ANSWER.filter(DEFAULT_PREFIX))
        await bus.publish("plant/m1/fault", b"E005")
        given: Answer = ANSWER.decode((await answers.get()).payload)
        return given


def test_standing_answers_follow_the_manuals(tmp_path: Path) -> None:
    with (
        Andon(tmp_path, "status_every_s: 1\n") as andon,
        listening(andon.port, "andon/answer/plant/m1") as client,
    ):
        client.publish("plant/m1/fault", "E005")
        first = client.answer()
        assert first["citations"] == []
        pdf = sample_manual(tmp_path, "pdf")
        assert andon.cli("add", str(pdf)).returncode == 0
        second = client.answer()
        assert second["citations"]
        [document] = andon.json("documents")
        assert andon.cli("remove", document["doc_id"]).returncode == 0
        third = client.answer()
        assert third["citations"] == []
        assert {first["id"]} == {second["id"], third["id"]}
        assert client.waiting() == 0
    assert andon.exit_code == 0
    assert "Traceback" not in andon.said()
