-- The library: documents, and the revisions of each. Originals lie beside it by their hash.
-- Times are RFC 3339 UTC. `assets` is a JSON list.

CREATE TABLE document (
    doc_id TEXT PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,
    -- Set while it is being removed: the retriever may have to be told again after a restart.
    removing INTEGER NOT NULL DEFAULT 0,
    purge INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE revision (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    doc_id TEXT NOT NULL REFERENCES document (doc_id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    -- What was asked for with this revision, so that a change of these is one as well.
    assets TEXT NOT NULL,
    asked_title TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'reading', 'indexing', 'ready', 'needs-ocr', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    lang TEXT NOT NULL DEFAULT '',
    pages INTEGER,
    passages INTEGER NOT NULL DEFAULT 0,
    updated TEXT NOT NULL,
    UNIQUE (doc_id, revision)
) STRICT;

CREATE INDEX revision_open ON revision (state, seq) WHERE state IN ('queued', 'reading', 'indexing');
CREATE INDEX revision_original ON revision (sha256);
