"""The power goes: files copied at any moment, with any part of their WAL, open clean and whole.

A copy of file and WAL, taken while nothing is written, is what the disk holds then. What a cut
may leave of it is the WAL up to some byte behind the last sync, perhaps with rubbish after it.
"""

# ruff: noqa: ASYNC240  (nothing else runs in these loops)
from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from schemas.answers import Ask
from schemas.retrieval import DocumentRef, Passage
from services.ingest.library import Library
from services.orchestrator.board import Changes
from services.orchestrator.ledger import Ledger
from services.orchestrator.records import Deeds, Entry, Outgoing
from services.retriever.corpus import Corpus
from services.retriever.records import prepare
from tests.support.damage import is_sound, seed_of, whole_commits

pytestmark = pytest.mark.faults

NOW = "2026-01-31T12:00:00.000Z"
SEED = seed_of("ANDON_POWER_SEED", 20260131)
CUTS = 40
CHECKPOINT = 200
"""Pages, a fifth of the usual: rows this small would need many more cuts to come to one."""
NOTHING = Changes({}, {})


def entry(number: int) -> Entry:
    text = f"question {number} " + "x" * (number * 37 % 900)
    told = Outgoing(topic=f"t/{number}", payload=b"1")
    return Entry(
        "andon/ask/a", Ask(question=text), NOW, f"{number:032x}", deeds=Deeds(outgoing=[told])
    )


def snapshot(path: Path, folder: Path) -> Path:
    """Copy a file and its WAL as the disk holds them."""
    folder.mkdir()
    for ending in ("", "-wal"):
        if Path(f"{path}{ending}").exists():
            shutil.copyfile(f"{path}{ending}", folder / f"{path.name}{ending}")
    return folder / path.name


def cut(copy: Path, chance: random.Random) -> int:
    """Cut the WAL of a copy, some with rubbish behind the cut; returns the bytes that are true."""
    wal = Path(f"{copy}-wal")
    if not wal.exists():
        return 0
    data = wal.read_bytes()
    length = chance.randint(0, len(data))
    rubbish = chance.choice([b"", bytes(5000), chance.randbytes(chance.randint(1, 9000))])
    wal.write_bytes(data[:length] + rubbish)
    return length


async def numbers(path: Path) -> set[int]:
    """The entries a ledger holds."""
    ledger = await Ledger.open(path)
    try:
        rows = await ledger.database.fetch("SELECT trace FROM event")
        outbox = await ledger.database.fetch("SELECT topic FROM outbox")
    finally:
        await ledger.close()
    found = {int(row["trace"], 16) for row in rows}
    assert len(found) == len(rows), "an entry stands twice"
    assert {int(row["topic"][2:]) for row in outbox} == found, "an entry without its message"
    return found


async def test_a_ledger_holds_all_that_was_accepted_before_the_last_sync(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(path)
    await ledger.database._writer.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")
    base: set[int] = set()  # in the file itself, since this WAL began
    ends: dict[int, set[int]] = {}  # accepted up to each end of a commit in this WAL
    copies: list[tuple[Path, set[int], dict[int, set[int]], set[int]]] = []
    accepted: set[int] = set()
    number = restarts = 0
    try:
        while len(copies) < CUTS:
            batch = range(number, number + chance.randint(1, 12))
            number = batch.stop
            await ledger.accept([entry(n) for n in batch], [], NOTHING, deadline_s=60)
            end, frames = whole_commits(Path(f"{path}-wal").read_bytes())[-1]
            if end <= max(ends, default=0):
                base, ends = set(accepted), {}
                restarts += 1
            accepted |= set(batch)
            ends[end] = set(accepted)
            # A WAL that was folded into the file had been synced whole: no cut shortens that one.
            if chance.random() < 0.2 and frames < CHECKPOINT:
                copy = snapshot(path, tmp_path / f"cut{len(copies)}")
                copies.append((copy, set(accepted), dict(ends), base))
    finally:
        await ledger.close()
    losses = 0
    for copy, all_of_them, ends_then, in_file in copies:
        length = cut(copy, chance)
        safe = [kept for end, kept in ends_then.items() if end <= length]
        must = max(safe, key=len, default=in_file)
        found = await numbers(copy)
        assert must <= found, f"{copy}: lost {sorted(must - found)} (seed {SEED})"
        assert found <= all_of_them
        assert is_sound(copy), f"{copy} (seed {SEED})"
        losses += len(all_of_them - found)
    assert losses > 0, "no cut took anything away: they were no cuts"
    assert restarts > 0, "no checkpoint came between"


async def test_a_copy_in_mid_write_opens_clean(tmp_path: Path) -> None:
    """Copies of the WAL while commits go on: its end is torn as the disk may tear it."""
    chance = random.Random(SEED + 1)
    path = tmp_path / "ledger.db"
    ledger = await Ledger.open(path)
    # A checkpoint moves pages into the file, which one copy after the other cannot show.
    await ledger.database._writer.execute("PRAGMA wal_autocheckpoint=0")
    returned: list[int] = []

    async def write() -> None:
        while len(returned) < 600 or len(copies) < 6:
            number = len(returned)
            await ledger.accept([entry(number)], [], NOTHING, deadline_s=60)
            returned.append(number)

    copies: list[tuple[Path, int]] = []
    writing = asyncio.create_task(write())
    while not writing.done():
        await asyncio.sleep(chance.uniform(0, 0.02))
        before = len(returned)
        copy = await asyncio.to_thread(snapshot, path, tmp_path / f"c{len(copies)}")
        copies.append((copy, before))
    await writing
    await ledger.close()
    for copy, before in copies:
        found = await numbers(copy)
        assert set(range(before)) <= found, f"{copy} (seed {SEED})"
        assert is_sound(copy)


async def test_a_corpus_opens_clean_after_any_cut(tmp_path: Path) -> None:
    import numpy as np

    chance = random.Random(SEED + 2)
    path = tmp_path / "corpus.db"
    corpus = await Corpus.open(path)
    copies: list[Path] = []
    try:
        for number in range(25):
            document = DocumentRef(
                doc_id=f"d{number % 6}",
                revision=number // 6 + 1,
                title="T",
                file=f"{number % 6}.pdf",
                lang="en",
                assets=[],
            )
            passages = [
                Passage(ordinal=i, text=f"E{number:03d} valve {i} " * 20, kind="text")
                for i in range(15)
            ]
            vectors = np.full((15, 8), 8**-0.5, dtype=np.float32)
            await corpus.put(document, prepare(document, passages))
            waiting = [label for label, _, _ in await corpus.without_vector(0, 100)]
            await corpus.put_vectors(waiting, waiting, vectors)
            copies.append(snapshot(path, tmp_path / f"put{number}"))
            await corpus.activate(document.doc_id, document.revision, 15)
            copies.append(snapshot(path, tmp_path / f"on{number}"))
    finally:
        await corpus.close()
    for copy in copies:
        cut(copy, chance)
        opened = await Corpus.open(copy)
        try:
            held = await opened.held()
            assert all(one.passages == 15 for one in held if one.active), f"seed {SEED}"
            for one in (one for one in held if one.active):
                code = f"e{one.document.revision * 6 - 6 + int(one.document.doc_id[1:]):03d}"
                assert await opened.search_words([code], 50), f"{copy} {code} (seed {SEED})"
        finally:
            await opened.close()
        assert is_sound(copy), f"{copy} (seed {SEED})"


async def test_a_library_opens_clean_after_any_cut(tmp_path: Path) -> None:
    chance = random.Random(SEED + 3)
    path = tmp_path / "library.db"
    library = await Library.open(path)
    copies: list[tuple[Path, int, int]] = []
    try:
        for number in range(40):
            await library.add(f"manual {number}.pdf", f"{number:064x}", number)
            work = await library.next()
            assert work is not None
            end = whole_commits(Path(f"{path}-wal").read_bytes())[-1][0]
            copies.append((snapshot(path, tmp_path / f"add{number}"), number + 1, end))
            await library.update(work, state="ready", passages=7)
            copies.append((snapshot(path, tmp_path / f"ready{number}"), number + 1, end))
    finally:
        await library.close()
    for copy, added, end in copies:
        length = cut(copy, chance)
        opened = await Library.open(copy)
        try:
            states = await opened.states()
        finally:
            await opened.close()
        if length >= end:
            assert len(states) == added, f"{copy} (seed {SEED})"
        assert is_sound(copy), f"{copy} (seed {SEED})"
