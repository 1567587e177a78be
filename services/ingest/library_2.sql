-- What is said about a document belongs to the document, no more to a revision: it is changed
-- without reading anything again. Which revision answers is no more the newest by itself.

ALTER TABLE document ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
-- The highest number a revision ever had; none is given twice.
ALTER TABLE document ADD COLUMN last INTEGER NOT NULL DEFAULT 0;

CREATE TABLE revision_new (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    doc_id TEXT NOT NULL REFERENCES document (doc_id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    -- The file's own title; what people say instead is in the document's labels.
    title TEXT NOT NULL,
    -- A phase, see schemas/knowledge.py.
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    lang TEXT NOT NULL DEFAULT '',
    pages INTEGER,
    passages INTEGER NOT NULL DEFAULT 0,
    -- 0: never answered. Of a document's revisions the one with the highest number answers, or is
    -- to answer again; the others that are ready are kept.
    answered INTEGER NOT NULL DEFAULT 0,
    -- Whether the retriever has its passages.
    held INTEGER NOT NULL DEFAULT 0,
    updated TEXT NOT NULL,
    UNIQUE (doc_id, revision)
) STRICT;

INSERT INTO revision_new
SELECT seq, doc_id, revision, sha256, size, title, state, reason, lang, pages, passages,
    iif(state = 'ready', revision, 0), state = 'ready', updated
FROM revision ORDER BY seq;

UPDATE document SET
    last = coalesce((SELECT max(revision) FROM revision r WHERE r.doc_id = document.doc_id), 0),
    labels = coalesce((
        SELECT json_object('title', r.asked_title, 'assets', json(r.assets)) FROM revision r
        WHERE r.doc_id = document.doc_id ORDER BY r.revision DESC LIMIT 1), '{}');

DROP TABLE revision;
ALTER TABLE revision_new RENAME TO revision;
CREATE INDEX revision_open ON revision (state, seq) WHERE state IN ('queued', 'reading', 'indexing');
CREATE INDEX revision_original ON revision (sha256);

-- Files of the inbox as they were when they were taken. `labels`: what folders said of each.
CREATE TABLE inbox (
    -- Bytes: names of old archives are in any encoding.
    path BLOB PRIMARY KEY,
    doc_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    labels TEXT NOT NULL
) STRICT;

-- Originals left when their document was removed without them.
CREATE TABLE left_original (
    sha256 TEXT PRIMARY KEY,
    file TEXT NOT NULL,
    removed TEXT NOT NULL
) STRICT;

-- `born`: since when this file knows of every original; see services/ingest/attic.py.
-- `inbox mark`, `inbox mounts`: by which the inbox and the shares below it are known again; see
-- services/ingest/marking.py and absence.py.
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
