"""The vector index: real hnswlib, real files."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.retriever import index_file, index_writer
from services.retriever.index_writer import Writer
from services.retriever.vectors import SLICE, VectorIndex, nearest

pytestmark = pytest.mark.integration

N, DIMENSION = 1500, 32


def load(folder: Path, **asked: Any) -> VectorIndex | None:
    known: dict[str, Any] = {"marks": {"one"}, "embedding": "m", "dimension": DIMENSION}
    saved = index_file.load(folder, **(known | asked))
    return saved.index if saved else None


def save(index: VectorIndex, folder: Path, mark: str = "one", generation: int = 3) -> None:
    index_file.begin(index, folder, mark=mark, generation=generation, embedding="m").finish()


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    made = np.random.default_rng(7).normal(size=(N, DIMENSION)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture
def index(vectors: NDArray[np.float32]) -> VectorIndex:
    made = VectorIndex.empty(DIMENSION)
    made.add(range(N), vectors)
    return made


def test_it_finds_what_comparing_with_all_finds(
    index: VectorIndex, vectors: NDArray[np.float32]
) -> None:
    questions = np.random.default_rng(8).normal(size=(30, DIMENSION)).astype(np.float32)
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    same = 0
    for question in questions:
        true = nearest(question, np.arange(N), vectors, 10)
        same += len(
            {label for label, _ in true} & {label for label, _ in index.search(question, 10)}
        )
    assert same >= 0.95 * 300


def test_it_grows_beyond_its_first_room(index: VectorIndex) -> None:
    assert len(index) == N > 1024


def test_the_cosine_comes_with_the_label(index: VectorIndex, vectors: NDArray[np.float32]) -> None:
    label, cosine = index.search(vectors[3], 1)[0]
    assert label == 3
    assert cosine == pytest.approx(1.0, abs=1e-4)


def test_removed_vectors_are_not_found_and_their_room_is_used(
    index: VectorIndex, vectors: NDArray[np.float32]
) -> None:
    index.remove([*range(1000), 999_999])
    assert len(index) == N - 1000
    assert all(label >= 1000 for label, _ in index.search(vectors[3], 50))
    index.add(range(5000, 5900), vectors[:900])
    assert index._index.element_count == N
    assert index.search(vectors[3], 1)[0][0] == 5003


def test_almost_everything_removed_still_finds_the_rest(
    index: VectorIndex, vectors: NDArray[np.float32]
) -> None:
    index.remove(range(5, N))
    assert {label for label, _ in index.search(vectors[900], 10)} == set(range(5))
    index.remove(range(5))
    assert index.search(vectors[900], 10) == []


def test_adding_twice_keeps_one(index: VectorIndex, vectors: NDArray[np.float32]) -> None:
    index.add([3, 4], vectors[[3, 4]])
    assert len(index) == N


def test_saved_and_loaded_it_answers_the_same(
    index: VectorIndex, vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    index.remove([0, 1])
    save(index, tmp_path)
    loaded = load(tmp_path)
    assert loaded is not None
    assert len(loaded) == N - 2
    assert loaded.search(vectors[9], 20) == index.search(vectors[9], 20)
    loaded.add([0], vectors[:1])
    assert loaded.search(vectors[0], 1)[0][0] == 0


def test_an_index_of_another_corpus_model_or_length_is_not_loaded(
    index: VectorIndex, tmp_path: Path
) -> None:
    save(index, tmp_path)
    for other in ({"marks": {"two"}}, {"embedding": "x"}, {"dimension": 16}):
        assert load(tmp_path, **other) is None
    assert load(tmp_path, marks={"two", "one"}) is not None


def test_what_was_saved_tells_of_when_it_is(index: VectorIndex, tmp_path: Path) -> None:
    index.remove([3])
    save(index, tmp_path, generation=7)
    saved = index_file.load(tmp_path, marks={"one"}, embedding="m", dimension=DIMENSION)
    assert saved is not None
    assert (saved.generation, saved.count) == (7, N - 1)
    assert saved.index.labels() == set(range(N)) - {3}


def test_saving_again_leaves_one_file(index: VectorIndex, tmp_path: Path) -> None:
    (tmp_path / "vectors-killed.hnsw.part").write_bytes(b"x")  # by one that was killed
    for mark in ("one", "two", "three"):
        save(index, tmp_path, mark)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["vectors-three.hnsw", "vectors-three.hnsw.labels", "vectors.json"]


@pytest.mark.parametrize("damage", ["cut", "flip", "labels", "zeros", "gone", "note"])
def test_damaged_files_are_not_loaded(index: VectorIndex, tmp_path: Path, damage: str) -> None:
    save(index, tmp_path)
    path = tmp_path / "vectors-one.hnsw"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    elif damage == "labels":
        Path(f"{path}.labels").write_bytes(b"\0" * 8)
    elif damage == "zeros":  # as long as it was: what a cut of the power leaves
        labels = Path(f"{path}.labels")
        labels.write_bytes(bytes(labels.stat().st_size))
    elif damage == "gone":
        path.unlink()
    else:
        (tmp_path / "vectors.json").write_bytes(b"{")
    assert load(tmp_path) is None


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    index: VectorIndex, tmp_path: Path
) -> None:
    save(index, tmp_path)
    (tmp_path / "vectors-two.hnsw.part").mkdir()
    with pytest.raises(OSError, match=r"vectors-two"):
        save(index, tmp_path, "two")
    assert load(tmp_path) is not None


@pytest.mark.parametrize("many", [400, 3000])
def test_many_equal_vectors_hide_no_other(vectors: NDArray[np.float32], many: int) -> None:
    """As a graph of equal points they would know only each other."""
    index = VectorIndex.empty(DIMENSION)
    index.add(range(10_000, 10_000 + many), np.repeat(vectors[:1], many, axis=0))
    index.add(range(1, 400), vectors[1:400])
    assert len(index) == many + 399
    for label in range(1, 400):
        assert index.search(vectors[label], 32)[0] == (label, pytest.approx(1.0, abs=1e-4))
    assert len({label < 10_000 for label, _ in index.search(vectors[0], 32)}) == 2


def test_equal_vectors_are_removed_one_by_one(vectors: NDArray[np.float32], tmp_path: Path) -> None:
    index = VectorIndex.empty(DIMENSION)
    index.add([1, 2, 3, 9], vectors[[0, 0, 0, 5]])
    index.remove([1])
    assert {label for label, _ in index.search(vectors[0], 1)} == {2, 3}
    save(index, tmp_path)
    loaded = load(tmp_path)
    assert loaded is not None
    assert loaded.search(vectors[0], 2) == index.search(vectors[0], 2)
    loaded.add([4], vectors[:1])
    loaded.remove([2, 3])
    assert [label for label, _ in loaded.search(vectors[0], 1)] == [4]
    loaded.remove([4])
    assert [label for label, _ in loaded.search(vectors[0], 5)] == [9]


def test_a_question_waits_for_one_slice_of_many(
    vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VectorIndex.empty(DIMENSION)
    index.add(range(100), vectors[:100])
    add, nearest_ = index._add, index._nearest
    slices: list[int] = []
    asked_after: list[int] = []

    def noted(vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        asked_after.append(len(slices))
        return nearest_(vector, limit)

    def asked_meanwhile(*arguments: Any) -> None:
        slices.append(len(arguments[0]))
        add(*arguments)
        if len(slices) in (3, 7):
            question.start() if len(slices) == 3 else another.start()
            while not index._turns.waiting:
                time.sleep(0.001)

    question, another = (
        threading.Thread(target=index.search, args=(vectors[row], 5)) for row in (1, 2)
    )
    monkeypatch.setattr(index, "_nearest", noted)
    monkeypatch.setattr(index, "_add", asked_meanwhile)
    index.add(range(100, 400), vectors[100:400])
    question.join()
    another.join()
    assert asked_after == [3, 7]
    assert len(slices) == 300 / SLICE
    assert len(index) == 400


def test_an_index_that_is_saved_is_asked_and_changed_afterwards(
    index: VectorIndex, vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    index.remove([5, 6])
    save(index, tmp_path)
    index.add([2000, 2001], vectors[[5, 7]])
    assert index.search(vectors[5], 1)[0][0] == 2000
    assert {label for label, _ in index.search(vectors[7], 1)} == {7, 2001}
    assert index._index.element_count == N


def test_an_empty_index_finds_nothing() -> None:
    assert VectorIndex.empty(4).search(np.ones(4, dtype=np.float32), 5) == []


@given(
    st.lists(st.tuples(st.sampled_from(["add", "remove", "load"]), st.integers(0, 7)), max_size=40)
)
@settings(max_examples=60, deadline=None)
def test_revisions_come_and_go_and_each_finds_its_own(
    vectors: NDArray[np.float32], steps: list[tuple[str, int]]
) -> None:
    """Eight revisions of ten passages, of which each shares half with the one before.

    What comes back was in the corpus meanwhile, and was rounded there.
    """
    index = VectorIndex.empty(DIMENSION)
    rounded = vectors.astype(np.float16).astype(np.float32)
    before: set[int] = set()
    there: set[int] = set()
    for what, revision in steps:
        labels = range(100 * revision, 100 * revision + 10)
        rows = range(5 * revision, 5 * revision + 10)
        if what == "add":
            index.add(labels, (rounded if revision in before else vectors)[rows])
            before.add(revision)
            there.add(revision)
        elif what == "remove":
            index.remove(labels)
            there.discard(revision)
        else:
            with TemporaryDirectory() as folder:
                save(index, Path(folder))
                loaded = load(Path(folder))
            assert loaded is not None
            index = loaded
        assert len(index) == 10 * len(there)
        for one in there:
            for number in range(10):
                nearest_ = dict(index.search(vectors[5 * one + number], 3))
                assert nearest_[100 * one + number] == pytest.approx(1.0, abs=2**-11)


def test_a_revision_that_comes_back_is_not_added_again(vectors: NDArray[np.float32]) -> None:
    index = VectorIndex.empty(DIMENSION)
    index.add(range(300), vectors[:300])
    added = vectors[300:600]
    rounded = vectors.astype(np.float16).astype(np.float32)
    for _ in range(3):
        index.add(range(1000, 1300), added)
        added = rounded[300:600]
        index.remove(range(300))
        assert index.search(vectors[310], 1)[0][0] == 1010
        index.add(range(300), rounded[:300])
        index.remove(range(1000, 1300))
        assert index.search(vectors[10], 1)[0][0] == 10
    assert index._index.element_count == 600


def hangs(*_: object) -> NoReturn:
    """In place of what the forked process does."""
    while True:
        time.sleep(60)


def test_a_process_that_hangs_is_ended_and_the_next_one_writes(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(index, tmp_path, "one")
    with monkeypatch.context() as hanging:
        hanging.setattr(index_writer, "_write", hangs)
        hanging.setattr(index_writer, "LEAST_S", 0.2)
        writing = index_file.begin(index, tmp_path, mark="two", generation=4, embedding="m")
        with pytest.raises(OSError, match="hung for"):
            writing.finish()
        with pytest.raises(ProcessLookupError):
            os.kill(writing.writer.pid, 0)
    assert load(tmp_path) is not None, "what was there stays"
    save(index, tmp_path, "three")
    assert load(tmp_path, marks={"three"}) is not None


def test_beside_one_that_the_kernel_does_not_let_go_of_none_is_begun(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hanging:
        hanging.setattr(index_writer, "_write", hangs)
        hanging.setattr(index_writer, "LEAST_S", 0.2)
        hanging.setattr(index_writer, "ENDED_S", 0.2)
        # As in a disk that hangs: the signal waits.
        hanging.setattr(Writer, "end", lambda _: None)
        stuck = index_file.begin(index, tmp_path, mark="one", generation=3, embedding="m")
        with pytest.raises(OSError, match="hung for"):
            stuck.finish()
    with pytest.raises(OSError, match=f"process {stuck.writer.pid} still hangs"):
        save(index, tmp_path, "two")
    stuck.writer.end()
    assert stuck.writer.reap(60)
    save(index, tmp_path, "three")
    assert load(tmp_path, marks={"three"}) is not None


def begins_both(parts: tuple[Any, ...]) -> None:
    for part in parts[2:]:
        part.write_bytes(b"begun")


def hangs_half_way(*given: Any) -> NoReturn:
    begins_both(given)
    hangs()


def fails_half_way(*given: Any) -> index_writer._Written:
    begins_both(given)
    return index_writer._Written(error=errno.ENOSPC, reason="full")


def dies_half_way(*given: Any) -> NoReturn:
    begins_both(given)
    os._exit(1)


@pytest.mark.parametrize(("way", "told"), [(fails_half_way, "full"), (dies_half_way, "was ended")])
def test_what_could_not_be_written_whole_is_deleted(
    way: Any, told: str, index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_writer, "_write", way)
    with pytest.raises(OSError, match=told):
        save(index, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_on_a_disk_that_hung_the_next_one_deletes(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hanging:
        hanging.setattr(index_writer, "_write", hangs_half_way)
        hanging.setattr(index_writer, "LEAST_S", 0.2)
        writing = index_file.begin(index, tmp_path, mark="one", generation=3, embedding="m")
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        with pytest.raises(OSError, match="hung for"):
            writing.finish()
    assert len(list(tmp_path.glob("*.part"))) == 2, "what it began stays"
    save(index, tmp_path, "two")
    assert not list(tmp_path.glob("*.part"))


def test_a_process_that_cannot_be_waited_for_leaves_nothing(
    index: VectorIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def no_file(pid: int) -> NoReturn:
        begun.append(pid)
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        raise OSError(errno.EMFILE, "too many open files")

    before = set(Path("/proc/self/fd").iterdir())
    with monkeypatch.context() as full:
        full.setattr(index_writer, "_write", hangs_half_way)
        full.setattr(os, "pidfd_open", no_file)
        with pytest.raises(OSError, match="too many open files"):
            save(index, tmp_path, "one")
    assert set(Path("/proc/self/fd").iterdir()) <= before
    with pytest.raises(ProcessLookupError):
        os.kill(begun[0], 0)
    assert list(tmp_path.iterdir()) == []
    save(index, tmp_path, "two")
    assert load(tmp_path, marks={"two"}) is not None
