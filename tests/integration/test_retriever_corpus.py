"""The corpus in a real SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from schemas.retrieval import DocumentRef, Field, Passage
from services.retriever.corpus import Corpus
from services.retriever.embedding.model import Model
from services.retriever.names import name_tokens
from services.retriever.records import prepare, title_tokens
from services.retriever.statements import MIGRATIONS, Q
from services.retriever.tokens import query_tokens
from services.runtime.errors import Fatal, Rejected
from services.runtime.sqlite import open_database

pytestmark = pytest.mark.integration


def document(doc_id: str = "m", revision: int = 1) -> DocumentRef:
    return DocumentRef(
        doc_id=doc_id, revision=revision, title=f"Manual {doc_id}", file=f"{doc_id}.pdf",
        lang="en", assets=["plant/motor7"],
    )  # fmt: skip


def row(ordinal: int, code: str, cause: str) -> Passage:
    return Passage(
        ordinal=ordinal,
        page=ordinal + 1,
        kind="row",
        text=f"Code: {code} | Cause: {cause}",
        fields=[Field("Code", code), Field("Cause", cause)],
    )


def vectors(n: int) -> np.ndarray:
    made = np.random.default_rng(n).normal(size=(n, 8)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


async def put(corpus: Corpus, ref: DocumentRef, passages: Sequence[Passage]) -> int:
    """Keep passages, and whatever has no vector gets one."""
    count = await corpus.put(ref, prepare(ref, passages))
    waiting = [label for label, _, _ in await corpus.without_vector(0, 10_000)]
    await corpus.put_vectors(waiting, waiting, vectors(len(waiting)))
    return count


async def words(corpus: Corpus, question: str) -> list[str]:
    hits = await corpus.search_words(query_tokens(question), 10)
    found = await corpus.fetch([label for label, _ in hits])
    return [found[label].passage.text for label, _ in hits if label in found]


@pytest.fixture
async def corpus(tmp_path: Path) -> AsyncIterator[Corpus]:
    opened = await Corpus.open(tmp_path / "corpus.db")
    yield opened
    await opened.close()


ROWS = [row(0, "E005", "mains too low"), row(1, "E006", "short circuit of the brake")]


async def test_what_is_not_active_does_not_answer(corpus: Corpus) -> None:
    assert await put(corpus, document(), ROWS) == 2
    assert await words(corpus, "brake") == []
    assert corpus.size == 0
    before = corpus.generation
    change = await corpus.activate("m", 1, 2)
    assert change.generation == corpus.generation > before
    assert await words(corpus, "brake") == [ROWS[1].text]
    assert corpus.size == 2


async def test_the_same_batch_twice_changes_nothing(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    assert await corpus.missing(document(), ROWS) == []
    assert await put(corpus, document(), ROWS) == 2
    changed = [ROWS[0], row(1, "E006", "other words")]
    assert await corpus.missing(document(), changed) == [changed[1]]
    assert await put(corpus, document(), changed[1:]) == 2
    await corpus.activate("m", 1, 2)
    assert await words(corpus, "brake") == []
    assert await words(corpus, "other words") == [changed[1].text]


async def test_an_active_revision_takes_no_other_words(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    assert await corpus.missing(document(), ROWS) == []
    with pytest.raises(Rejected, match="answers already"):
        await corpus.missing(document(), [row(1, "E006", "other")])


async def test_activation_wants_every_passage(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS[:1])
    with pytest.raises(Rejected, match="1 of 2"):
        await corpus.activate("m", 1, 2)
    with pytest.raises(Rejected, match="unknown"):
        await corpus.activate("m", 9, 2)
    assert corpus.active == {}


async def test_the_old_revision_answers_until_the_new_one_is_complete(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    new = [row(0, "E005", "replaced relay")]
    await put(corpus, document(revision=2), new)
    assert await words(corpus, "relay") == []
    assert len(await corpus.lookup_loose(["E6"])) == 1
    change = await corpus.activate("m", 2, 1)
    assert len(change.removed) == 2
    assert await words(corpus, "relay") == [new[0].text]
    assert await words(corpus, "brake") == []
    assert await corpus.lookup_loose(["E6"]) == []
    # It was kept, and can be brought back.
    await corpus.activate("m", 1, 2)
    assert await words(corpus, "brake") == [ROWS[1].text]
    assert await words(corpus, "relay") == []


async def test_revisions_stay_until_they_are_pruned(corpus: Corpus) -> None:
    for revision in (1, 2, 3):
        await put(corpus, document(revision=revision), ROWS)
        await corpus.activate("m", revision, 2)
    await put(corpus, document(revision=4), ROWS[:1])
    assert await corpus.prune("m", [2, 4])
    assert [(h.document.revision, h.active) for h in await corpus.held("m")] == [
        (2, False), (3, True), (4, False),
    ]  # fmt: skip
    assert not await corpus.prune("m", [2, 4])
    assert await corpus.prune("m", [])
    assert [h.document.revision for h in await corpus.held()] == [3]
    assert await words(corpus, "brake") == [ROWS[1].text]


async def test_what_is_said_about_a_document_changes_at_once(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    assert await words(corpus, "Palletiser") == []
    before = corpus.generation
    new = msgspec.structs.replace(document(), title="Palletiser", tags=["spare"], kind="manual")
    assert await corpus.describe(new)
    assert corpus.generation > before
    assert len(await words(corpus, "Palletiser")) == 2
    assert len(await words(corpus, "brake")) == 1
    assert list(corpus.active.values()) == [new]
    assert not await corpus.describe(new)
    assert await corpus.describe(document())
    assert await words(corpus, "Palletiser") == []
    with pytest.raises(Rejected, match="unknown"):
        await corpus.describe(document("other"))


async def test_a_revision_that_does_not_answer_is_described_too(corpus: Corpus) -> None:
    for revision in (1, 2):
        await put(corpus, document(revision=revision), ROWS)
        await corpus.activate("m", revision, 2)
    await corpus.describe(msgspec.structs.replace(document(), title="Palletiser"))
    assert await words(corpus, "Palletiser") == []
    await corpus.activate("m", 1, 2)
    assert len(await words(corpus, "Palletiser")) == 2
    await corpus.activate("m", 2, 2)
    assert await words(corpus, "Palletiser") == []


MARK = "qzxvkuparmark"


def marked(folder: Path) -> list[str]:
    """Files with that word in them."""
    return [p.name for p in folder.iterdir() if MARK.encode() in p.read_bytes()]


@pytest.mark.parametrize("how", ["remove", "prune"])
async def test_no_deleted_word_stays_on_the_disk(corpus: Corpus, tmp_path: Path, how: str) -> None:
    others = [row(n, f"F{n:03d}", f"cause {n}") for n in range(300)]
    await put(corpus, document("other"), others)
    await corpus.activate("other", 1, 300)
    secret = [row(n, f"E{n:03d}", f"{MARK} and {MARK}{n}") for n in range(300)]
    await put(corpus, document(), secret)
    await corpus.activate("m", 1, 300)
    assert marked(tmp_path)
    if how == "remove":
        await corpus.remove("m")
    else:
        await put(corpus, document(revision=2), ROWS)
        await corpus.activate("m", 2, 2)
        await corpus.prune("m", [])
    assert marked(tmp_path)
    assert await corpus.scrub()
    assert not marked(tmp_path)
    assert len(await words(corpus, "cause")) == 10
    assert await corpus.scrub()


async def test_nor_after_many_changes_and_scrubs(corpus: Corpus, tmp_path: Path) -> None:
    await put(corpus, document("other"), [row(0, "F001", "cause")])
    await corpus.activate("other", 1, 1)
    for revision in range(1, 5):
        rows = [row(n, f"E{n:03d}", f"{MARK} {revision} {n}") for n in range(800)]
        await put(corpus, document(revision=revision), rows)
        await corpus.activate("m", revision, 800)
        await corpus.describe(
            msgspec.structs.replace(document(revision=revision), title=f"{MARK}{revision}")
        )
        if revision > 1:
            await corpus.activate("m", revision - 1, 800)
            await corpus.activate("m", revision, 800)
            await corpus.prune("m", [revision - 1])
        assert await corpus.scrub()
    await corpus.remove("m")
    assert await corpus.scrub()
    assert not marked(tmp_path)
    assert len(await words(corpus, "cause")) == 1


async def test_a_corpus_of_the_first_schema_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    old = await open_database(path, MIGRATIONS[:1], synchronous="NORMAL")
    async with old.transaction() as db:
        await db.execute(
            "INSERT INTO documents (doc_id, revision, title, file, lang, assets, active)"
            " VALUES ('m', 1, 'M', 'm.pdf', 'en', '[\"plant/+\"]', 1)"
        )
    await old.close()
    opened = await Corpus.open(path)
    try:
        [ref] = opened.active.values()
        assert (ref.title, ref.assets, ref.tags, ref.kind) == ("M", ["plant/+"], [], "")
        assert await opened.scrub()
    finally:
        await opened.close()


async def test_activating_twice_is_no_change(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    first = await corpus.activate("m", 1, 2)
    second = await corpus.activate("m", 1, 2)
    assert (second.generation, second.added, second.removed) == (first.generation, (), ())


async def test_removing_leaves_nothing(corpus: Corpus, tmp_path: Path) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    await put(corpus, document("other"), [row(0, "F1", "unrelated")])
    await corpus.activate("other", 1, 1)
    change = await corpus.remove("m")
    assert len(change.removed) == 2
    assert await words(corpus, "brake") == []
    assert await corpus.lookup_loose(["E5"]) == []
    assert await corpus.totals() == (1, 1)
    assert len(await corpus.labels()) == 1
    assert await corpus.frequency(["brak", "unrelat"]) == {"unrelat": 1}
    again = await corpus.remove("m")
    assert again.generation == change.generation


async def test_numbers_of_passages_are_never_used_again(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    gone = (await corpus.remove("m")).removed
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    (number,) = corpus.active
    labels, _ = await corpus.vectors(number)
    assert not set(labels.tolist()) & set(gone)


async def test_vectors_come_back_in_half_precision(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    (number,) = corpus.active
    _, back = await corpus.vectors(number)
    assert np.allclose(back, vectors(2), atol=1e-3)


async def test_another_model_makes_the_vectors_worthless(corpus: Corpus) -> None:
    await corpus.use_embedding(Model("first", "first"))
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    assert not await corpus.use_embedding(Model("first", "first"))
    assert await corpus.without_vector(0, 10) == []
    assert await corpus.use_embedding(Model("second", "second"))
    waiting = await corpus.without_vector(0, 10)
    assert [passage for _, _, passage in waiting] == ROWS
    labels = [label for label, _, _ in waiting]
    assert await corpus.put_vectors(labels, [1, 2], vectors(2)) == set(labels)
    assert await corpus.totals() == (2, 2)


async def test_codes_are_found_by_their_forgiving_form(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    assert [hit.canonical for hit in await corpus.lookup_loose(["E5"])] == ["E005"]
    assert await corpus.lookup_loose(["E005"]) == []


async def test_words_of_any_kind_are_safe_in_a_query(corpus: Corpus) -> None:
    await put(corpus, document(), ROWS)
    await corpus.activate("m", 1, 2)
    for question in ['"', "NEAR(a b)", "a OR", "head:x", "*", "'; DROP TABLE fts; --", "^a"]:
        await corpus.search_words([*query_tokens(question), question.replace(" ", "")], 5)
    assert await words(corpus, "brake") == [ROWS[1].text]


async def test_a_scope_limits_the_words(corpus: Corpus) -> None:
    for name in ("a", "b"):
        await put(corpus, document(name), ROWS)
        await corpus.activate(name, 1, 2)
    (first, second) = sorted(corpus.active)
    hits = await corpus.search_words(query_tokens("brake"), 10, [second])
    found = await corpus.fetch([label for label, _ in hits])
    assert [one.document for one in found.values()] == [second]
    everywhere = [label for label, _ in await corpus.search_words(query_tokens("brake"), 10)]
    assert len(everywhere) == 2
    assert len(await corpus.inside(everywhere, [first])) == 1


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    opened = await Corpus.open(path)
    await put(opened, document(), ROWS)
    await opened.activate("m", 1, 2)
    generation = opened.generation
    await opened.close()
    again = await Corpus.open(path)
    try:
        assert again.generation == generation
        assert list(again.active.values()) == [document()]
        assert await words(again, "brake") == [ROWS[1].text]
    finally:
        await again.close()


async def test_a_file_that_is_no_corpus_says_so(tmp_path: Path) -> None:
    path = tmp_path / "corpus.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(Fatal, match=r"corpus\.db"):
        await Corpus.open(path)


async def test_words_and_codes_of_an_older_andon_are_found_anew(corpus: Corpus) -> None:
    for doc_id in ("m", "n"):
        ref = document(doc_id)
        await put(corpus, ref, [row(0, "E005", f"worn belt of {doc_id}")])
        await corpus.activate(doc_id, 1, 1)
    await corpus.put(document("n", 2), prepare(document("n", 2), [row(0, "E006", "new belt")]))
    async with corpus.database.transaction() as db:
        for number in corpus.active:
            await db.execute(Q["fts_drop"], (number,))
        await db.execute("UPDATE passages SET head = '', body = 'old', name = ''")
        await db.execute("DELETE FROM codes")
        for number in corpus.active:
            await db.execute(Q["fts_add"], (number,))
        await db.execute("UPDATE documents SET words = 0")
    assert await words(corpus, "worn belt") == []
    before = corpus.generation
    remade = 0
    while await corpus.remake_words():
        remade += 1
    assert remade == 3
    assert corpus.generation == before + 2  # the third does not answer
    assert sorted(await words(corpus, "worn belt")) == [
        "Code: E005 | Cause: worn belt of m",
        "Code: E005 | Cause: worn belt of n",
    ]
    assert await words(corpus, "old") == []
    assert len(await corpus.lookup_loose(["E5"])) == 2
    await corpus.activate("n", 2, 1, at_once=True)
    assert await words(corpus, "new belt") != []


async def test_a_change_reads_the_titles_that_changed(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(ref: DocumentRef) -> list[str]:
        read.append(ref.doc_id)
        return title_tokens(ref)

    def named(ref: DocumentRef) -> frozenset[str]:
        read.append(ref.doc_id)
        return name_tokens(ref)

    for name in "abc":
        await put(corpus, document(name), ROWS)
        await corpus.activate(name, 1, 2)
    monkeypatch.setattr("services.retriever.answering.title_tokens", counted)
    monkeypatch.setattr("services.retriever.names.name_tokens", named)
    await put(corpus, document("d"), ROWS)
    await corpus.activate("d", 1, 2)
    assert read == ["d", "d"]
    read.clear()
    await corpus.describe(msgspec.structs.replace(document("b"), title="Another name of it"))
    assert set(read) == {"b"}
    await corpus.remove("a")
    monkeypatch.undo()
    kept = corpus.names, corpus.titles
    anew = Corpus(corpus.database)
    await anew.refresh()
    assert kept[1] == anew.titles
    for number in corpus.active:
        assert kept[0].of(number) == anew.names.of(number)
