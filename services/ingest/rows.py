"""Rows of the library, and what they say."""

from __future__ import annotations

import msgspec

from schemas.knowledge import DocumentState
from schemas.retrieval import DocumentRef
from services.ingest.differences import Own
from services.ingest.labels import Labels
from services.runtime.sqlite import Row

ENDED = "('failed', 'needs-ocr')"
"""Phases, for SQL, that end without an answer."""

BEST = """
    (SELECT b.revision FROM revision b WHERE b.doc_id = d.doc_id AND b.answered > 0
     ORDER BY b.answered DESC LIMIT 1)
"""
"""The revision of document `d` that answers, or is to answer again."""

CURRENT = f"""
    SELECT d.file, d.labels, d.purge, r.*,
      coalesce((SELECT a.revision FROM revision a WHERE a.doc_id = d.doc_id AND a.answered > 0
        AND a.state = 'ready' ORDER BY a.answered DESC LIMIT 1), 0) AS answers,
      (SELECT json_group_array(k.revision) FROM (
        SELECT revision FROM revision k WHERE k.doc_id = d.doc_id AND k.state = 'ready'
        AND k.revision IS NOT {BEST} ORDER BY revision DESC) k) AS kept
    FROM document d JOIN revision r ON r.doc_id = d.doc_id
    WHERE r.revision = coalesce(
        (SELECT n.revision FROM revision n WHERE n.doc_id = d.doc_id AND n.state <> 'ready'
         AND n.held >= 0 AND n.revision = (SELECT max(revision) FROM revision m
            WHERE m.doc_id = d.doc_id)),
        {BEST},
        (SELECT max(revision) FROM revision m WHERE m.doc_id = d.doc_id))
"""  # noqa: S608  the parts are ours
"""Of each document the revision people are told about: the newest where it is on its way or
failed, else the one that answers."""

SHELF = """
    SELECT d.doc_id, d.file, d.labels, d.removing, d.last, r.revision, r.state, r.title, r.lang,
      r.passages, r.answered, r.held, r.sha256
    FROM document d LEFT JOIN revision r ON r.doc_id = d.doc_id
"""
"""Every revision with its document."""

SET_ASIDE = -1
"""In `held`: the revision may go."""


def labels_in(row: Row) -> Labels:
    """Return what people say about the document of a row."""
    return msgspec.json.decode(row["labels"], type=Labels)


def ref_in(row: Row) -> DocumentRef:
    """Return what the retriever should say about the revision of a row."""
    labels = labels_in(row)
    return ref(labels, row["doc_id"], row["revision"], row["file"], row["title"], row["lang"])


def ref(  # noqa: PLR0917  they are the fields
    labels: Labels, doc_id: str, revision: int, file: str, title: str, lang: str
) -> DocumentRef:
    """Return a revision as the retriever should have it: what people say goes first."""
    return DocumentRef(
        doc_id=doc_id,
        revision=revision,
        title=labels.title or title,
        file=file,
        lang=labels.lang or lang,
        assets=labels.assets,
        kind=labels.kind,
        model=labels.model,
        collection=labels.collection,
        tags=labels.tags,
    )


def own_in(row: Row) -> Own:
    """Return the revision of a row of `SHELF`."""
    return Own(
        ref=ref_in(row),
        state=row["state"],
        passages=row["passages"],
        answered=row["answered"],
        held=row["held"] > 0,
        set_aside=row["held"] == SET_ASIDE,
        sha256=row["sha256"],
    )


def state_in(row: Row) -> DocumentState:
    """Return the state in a row of `CURRENT`."""
    ready = row["state"] == "ready"
    labels = labels_in(row)
    return DocumentState(
        doc_id=row["doc_id"],
        title=labels.title or row["title"],
        file=row["file"],
        state=row["state"],
        reason=row["reason"],
        revision=row["revision"],
        sha256=row["sha256"],
        size=row["size"],
        lang=labels.lang or row["lang"],
        assets=labels.assets,
        kind=labels.kind,
        model=labels.model,
        collection=labels.collection,
        tags=labels.tags,
        answers=row["answers"],
        kept=msgspec.json.decode(row["kept"], type=list[int]),
        pages=row["pages"],
        pages_done=row["pages"] or 0 if ready else 0,
        passages=row["passages"],
        passages_done=row["passages"] if ready else 0,
        searchable=ready,
        vectors_done=row["passages"] if ready else 0,
        updated=row["updated"],
    )
