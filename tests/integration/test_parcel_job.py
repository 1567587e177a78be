"""A collection from box to box: two whole Andons, the commands between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.channels import RECEIVE
from schemas.knowledge import ReceiveDocument
from services.client import Client, connected
from services.parcel import file, keys
from services.runtime import config as configuration
from tests.support.andon import Andon, listening
from tests.support.sample import sample_manual

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def parcel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Any]:
    """A file, the key it is signed with, and what the first Andon finds."""
    folder = tmp_path_factory.mktemp("sender")
    path = folder / "hall.andon"
    with Andon(folder) as andon:
        manual = str(sample_manual(folder, "pdf"))
        andon.json("add", manual, "--collection", "Hall 3", "--asset", "plant/+", "--tag", "Drive")
        (folder / "other.md").write_text("# Other\n\nE999: not in the hall.\n")
        andon.json("add", str(folder / "other.md"))
        refused = andon.cli("export", "Hall 4", str(path))
        assert "no document of the collection 'Hall 4'" in refused.stderr
        told = andon.json("export", "Hall 3", str(path))
        found = andon.json("search", "E005")
    [document] = told["collection"]["documents"]
    assert document["vectors"] == document["passages"] > 10
    return path, told["key"], found


@pytest.fixture
def andon(tmp_path: Path) -> Iterator[Andon]:
    with Andon(tmp_path) as running:
        yield running
    assert "Traceback" not in running.said()


def test_another_box_answers_the_same_without_reading(
    parcel: tuple[Path, str, Any], andon: Andon, tmp_path: Path
) -> None:
    path, key, found = parcel
    refused = andon.cli("import", str(path))
    assert (refused.returncode, key in refused.stderr) == (1, True)
    assert "NOT trusted here" in andon.cli("import", str(path), "--show").stdout
    assert andon.json("documents") == []
    with listening(andon.port, "andon/document/#") as client:
        [taken] = andon.json("import", str(path), "--trust", key)
        phases = set()
        while "ready" not in phases:
            phases.add(json.loads(client.next().payload)["state"])
    assert "reading" not in phases
    assert taken["sent"] == taken["state"]["passages"]
    assert andon.json("search", "E005") == found
    [document] = andon.json("documents")
    assert (document["collection"], document["tags"], document["assets"]) == (
        "Hall 3",
        ["drive"],
        ["plant/+"],
    )
    # Twice is once.
    [again] = andon.json("import", str(path), "--trust", key)
    assert (again["sent"], again["state"]["revision"]) == (0, 1)
    changed = tmp_path / "changed.andon"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    changed.write_bytes(raw)
    refused = andon.cli("import", str(changed), "--trust", key)
    assert (refused.returncode, "changed" in refused.stderr) == (1, True)


def test_a_box_with_another_model_makes_vectors_of_its_own(
    parcel: tuple[Path, str, Any], andon: Andon, tmp_path: Path
) -> None:
    """The file says that its vectors are of another model: they are not taken."""
    path, key, found = parcel
    (tmp_path / "theirs").mkdir()
    box = keys.Box.of(tmp_path / "theirs")
    other = tmp_path / "other.andon"
    with file.reading(path, {key}) as reader, file.writing(other) as writer:
        [document] = reader.listed.documents
        reader.unpack(document.original, tmp_path / "original")
        digest = document.original.sha256
        writer.file(document.original.name, tmp_path / "original", digest)
        writer.batches(document.batches.name, reader.batches(document))
        writer.close(msgspec.structs.replace(reader.listed, embedding="another@1"), box)
    [taken] = andon.json("import", str(other), "--trust", box.public)
    assert (taken["state"]["state"], taken["sent"]) == ("ready", taken["state"]["passages"])
    assert andon.json("search", "E005") == found


async def test_what_stays_away_is_read_here(
    parcel: tuple[Path, str, Any], andon: Andon, tmp_path: Path
) -> None:
    """Who sends a document ends after its file, and before its passages; then ingest does."""
    path, key, found = parcel
    with file.reading(path, {key}) as reader:
        [document] = reader.listed.documents
        reader.unpack(document.original, tmp_path / "original")
    config = configuration.load(andon.running_config)
    request = ReceiveDocument(
        path=str(tmp_path / "original"), name=document.file, passages=document.passages
    )
    async with connected(config) as bus:
        got = await Client(bus, config).call(RECEIVE, request)
    assert (got.wanted, got.added.state.state) == (True, "indexing")
    andon.kill("ingest")
    with listening(andon.port, "andon/document/#") as client:
        client.next(lambda m: json.loads(m.payload)["state"] == "ready")
    [again] = andon.json("import", str(path), "--trust", key)
    assert (again["sent"], again["state"]["state"]) == (0, "ready")
    assert andon.json("search", "E005") == found
