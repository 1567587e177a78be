"""What a word counts: as FTS5's own function works it out, whatever was put in and taken out."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retriever.bm25 import HEAD_WEIGHT, Lengths, joined
from services.retriever.lookups import measured, weigh
from services.retriever.statements import MIGRATIONS, quoted

pytestmark = pytest.mark.unit

TOKENS = st.lists(st.sampled_from(["a", "b", "c", "直流"]), max_size=8).map(" ".join)
ROWS = st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=12)
ASKED = ["a", "c", "直流", "nowhere", "a b", "a a", "b c a", "nowhere a", "a nowhere", "c d"]


@pytest.fixture(scope="module")
def schema() -> str:
    return "".join(f"{step};" for step in MIGRATIONS)


def filled(schema: str, rows: Sequence[tuple[str, str]]) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema)
    add(db, 1, rows)
    return db


def add(db: sqlite3.Connection, first: int, rows: Sequence[tuple[str, str]]) -> None:
    every = [(first + at, *row) for at, row in enumerate(rows)]
    db.executemany("INSERT INTO fts (rowid, head, body) VALUES (?, ?, ?)", every)


def by_fts5(db: sqlite3.Connection, word: str) -> list[tuple[int, float]]:
    asked = "SELECT rowid, -bm25(fts, ?, 1.0) FROM fts WHERE fts MATCH ? ORDER BY rowid"
    return db.execute(asked, (HEAD_WEIGHT, quoted(word))).fetchall()


def read(db: sqlite3.Connection) -> Lengths:
    first = measured(0, 5, db)
    last = max(first.passages.tolist(), default=0)
    return joined([first, measured(last, 10_000, db)])


def agree(db: sqlite3.Connection) -> None:
    lengths = read(db)
    postings = weigh(ASKED, lengths, db)
    assert len(lengths.passages) == db.execute("SELECT count(*) FROM fts_docsize").fetchone()[0]
    assert not weigh(["a"], joined([]), db)[0][0].tolist()
    for word, (numbers, scores) in zip(ASKED, postings, strict=True):
        wanted = by_fts5(db, word)
        assert numbers.tolist() == [number for number, _ in wanted], word
        assert scores.tolist() == pytest.approx([score for _, score in wanted], rel=1e-5), word


@given(rows=ROWS, more=ROWS, gone=st.sets(st.integers(1, 12)))
def test_words_and_words_in_a_row_count_as_fts5_has_it(
    schema: str, rows: list[tuple[str, str]], more: list[tuple[str, str]], gone: set[int]
) -> None:
    db = filled(schema, rows)
    try:
        agree(db)
        dropped = [(at, *row) for at, row in enumerate(rows, 1) if at in gone]
        db.executemany(
            "INSERT INTO fts (fts, rowid, head, body) VALUES ('delete', ?, ?, ?)", dropped
        )
        add(db, 1000, more)
        agree(db)
        db.execute("INSERT INTO fts (fts) VALUES ('optimize')")
        agree(db)
    finally:
        db.close()


def test_a_long_text_counts_as_fts5_has_it(schema: str) -> None:
    """Lengths of one byte, of two and of three, and both columns of different ones."""
    rows = [
        (" ".join(["a"] * h), " ".join(["b"] * t))
        for h, t in [
            (1, 1),
            (127, 128),
            (128, 127),
            (0, 16383),
            (200, 16384),
            (3, 70000),
            (0, 0),
            (1, 2),
        ]
    ]
    db = filled(schema, rows)
    try:
        agree(db)
        assert read(db).tokens.tolist() == [len(h.split()) + len(t.split()) for h, t in rows]
    finally:
        db.close()


def test_what_answers_since_lengths_were_read_is_left_out(schema: str) -> None:
    db = filled(schema, [("a", "b"), ("", "a a"), ("", "c")])
    try:
        lengths = read(db)
        before = weigh(["a"], lengths, db)[0][0].tolist()
        add(db, 4, [("a", "a b")])
        after = weigh(["a"], lengths, db)[0][0].tolist()
        assert before == after == [1, 2]
    finally:
        db.close()


def test_no_passages_have_no_words(schema: str) -> None:
    db = filled(schema, [])
    try:
        agree(db)
    finally:
        db.close()
