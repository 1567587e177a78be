"""A library and a corpus of very many documents, written straight into their databases."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.retrieval import DocumentRef, Passage
from services.ingest.library import Library
from services.ingest.naming import doc_id
from services.retriever.corpus import Corpus
from services.retriever.embedding import open_embedder
from services.retriever.holdings import columns_of
from services.retriever.records import WORDS, prepare
from services.retriever.statements import Q
from services.runtime.config import Embedding

_WHEN = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class One:
    """A document of one revision and one passage."""

    number: int

    @property
    def file(self) -> str:
        return f"line {self.number % 7}/pump {self.number:06}.pdf"

    @property
    def doc_id(self) -> str:
        return doc_id(self.file)

    def ref(self, title: str = "") -> DocumentRef:
        return DocumentRef(
            doc_id=self.doc_id,
            revision=1,
            title=title or f"Pump {self.number}",
            file=self.file,
            lang="en",
            assets=[f"plant/pump{self.number}"],
        )


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA synchronous=OFF")
        yield db


async def shelve(data: Path, documents: Iterable[One]) -> None:
    """Enter documents into the library as read and answering; they have no originals."""
    await (await Library.open(data / "library.db")).close()
    with _writing(data / "library.db") as db:
        for one in documents:
            assets = f'{{"assets":["plant/pump{one.number}"]}}'
            db.execute(
                "INSERT INTO document (doc_id, file, labels, last) VALUES (?, ?, ?, 1)",
                (one.doc_id, one.file, assets),
            )
            db.execute(
                "INSERT INTO revision (doc_id, revision, sha256, size, title, state, lang, pages,"
                " passages, answered, held, updated)"
                " VALUES (?, 1, ?, 1, ?, 'ready', 'en', 1, 1, 1, 1, ?)",
                (
                    one.doc_id,
                    hashlib.sha256(one.file.encode()).hexdigest(),
                    f"Pump {one.number}",
                    _WHEN,
                ),
            )


async def index(data: Path, documents: Iterable[tuple[DocumentRef, bool]]) -> None:
    """Put documents into the corpus, each with whether it answers; their vectors are empty."""
    await (await Corpus.open(data / "corpus.db")).close()
    embedder = open_embedder(Embedding(threads=1))
    with _writing(data / "corpus.db") as db:
        db.execute(Q["set_meta"], ("embedding", embedder.name))
        for number, (ref, active) in enumerate(documents, start=1):
            db.execute(Q["put_document"], (*columns_of(ref), WORDS))
            text = f"E{number:06} The pump runs dry. Open the valve."
            [record] = prepare(ref, [Passage(ordinal=0, text=text)])
            db.execute(
                Q["put_passage"],
                (
                    *(number, number, 0, "text"),
                    *(record.content, record.head, record.body, record.name),
                ),
            )
            db.executemany(Q["put_code"], [(c, number, loose, s) for c, loose, s in record.codes])
            db.execute(Q["put_vector"], {"passage": number, "vector": b"", "text": None})
            if active:
                db.execute(Q["set_active"], (1, number))
                db.execute(Q["fts_add"], (number,))
    embedder.close()
