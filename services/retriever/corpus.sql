-- Every statement of the corpus; the files beside it run them by name, see statements.py.

-- name: schema: documents, passages and what is searched; `fts` and `codes` hold what answers
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', '0'), ('embedding', '');

CREATE TABLE documents (
    id       INTEGER PRIMARY KEY,
    doc_id   TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    title    TEXT    NOT NULL,
    file     TEXT    NOT NULL,
    lang     TEXT    NOT NULL,
    assets   TEXT    NOT NULL,               -- JSON list of MQTT filters
    active   INTEGER NOT NULL DEFAULT 0,     -- 1: answers
    UNIQUE (doc_id, revision)
);
CREATE UNIQUE INDEX one_active ON documents (doc_id) WHERE active;

-- AUTOINCREMENT: an id is the label of a vector, and must never come back as another passage.
CREATE TABLE passages (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    ordinal  INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    content  BLOB    NOT NULL,               -- the Passage, MessagePack
    head     TEXT    NOT NULL,               -- tokens of title and section
    body     TEXT    NOT NULL,               -- tokens of the text
    UNIQUE (document, ordinal)
);

CREATE TABLE vectors (
    passage INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    vector  BLOB NOT NULL                    -- float16, length 1
);

CREATE TABLE codes (
    canonical TEXT    NOT NULL,
    passage   INTEGER NOT NULL REFERENCES passages ON DELETE CASCADE,
    loose     TEXT    NOT NULL,
    strength  INTEGER NOT NULL,              -- 3 defined here, 2 begins a line, 1 mentioned
    PRIMARY KEY (canonical, passage)
) WITHOUT ROWID;
CREATE INDEX codes_loose ON codes (loose);
CREATE INDEX codes_passage ON codes (passage);

-- Tokens are made by tokens.py and joined by spaces: every category is a token character, so
-- that only the space separates.
CREATE VIRTUAL TABLE fts USING fts5 (
    head, body, content='passages', content_rowid='id',
    tokenize="unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*' separators ' '"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (fts, 'row');

-- name: schema_2: what is said about a document; whether deleted words are still in the file
ALTER TABLE documents ADD COLUMN kind       TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN model      TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN collection TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN tags       TEXT NOT NULL DEFAULT '[]';   -- JSON list
INSERT INTO meta VALUES ('scrub', '0');

-- name: schema_3: the text a vector is of, so that an equal text need not be embedded again
ALTER TABLE vectors ADD COLUMN text INTEGER;     -- digest; null where there is no vector
CREATE INDEX vectors_text ON vectors (text) WHERE text IS NOT NULL;

-- name: schema_4: what a passage is called, as tokens
ALTER TABLE passages ADD COLUMN name TEXT NOT NULL DEFAULT '';
-- Which way tokens and codes were found; see records.WORDS.
ALTER TABLE documents ADD COLUMN words INTEGER NOT NULL DEFAULT 0;

-- name: schema_5: which model the vectors are of, and those of one that takes over (see switch)
CREATE TABLE coming (
    passage INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    vector  BLOB NOT NULL,
    text    INTEGER
);
CREATE INDEX coming_text ON coming (text) WHERE text IS NOT NULL;
INSERT INTO meta SELECT 'model', json_object('name', value, 'label', value)
FROM meta WHERE key = 'embedding' AND value <> '';
DELETE FROM meta WHERE key = 'embedding';

-- name: schema_6: where each token stands
CREATE VIRTUAL TABLE places USING fts5vocab (fts, 'instance');

-- name: meta: one fact
SELECT value FROM meta WHERE key = ?

-- name: set_meta: keep one fact
INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: next_generation: something that answers changes
UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'generation'

-- name: documents: every revision and how many passages it has
SELECT d.*, (SELECT count(*) FROM passages p WHERE p.document = d.id) AS passages
FROM documents d ORDER BY d.file, d.doc_id, d.revision

-- name: documents_after: the same in slices by doc_id, each document whole
SELECT d.*, (SELECT count(*) FROM passages p WHERE p.document = d.id) AS passages
FROM documents d WHERE d.doc_id IN (
    SELECT DISTINCT doc_id FROM documents WHERE doc_id > ? ORDER BY doc_id LIMIT ?)
ORDER BY d.doc_id, d.revision

-- name: documents_of: the same of one document
SELECT d.*, (SELECT count(*) FROM passages p WHERE p.document = d.id) AS passages
FROM documents d WHERE d.doc_id = ? ORDER BY d.revision

-- name: document: one revision
SELECT * FROM documents WHERE doc_id = ? AND revision = ?

-- name: put_document: a revision, or what changed about it
INSERT INTO documents
    (doc_id, revision, title, file, lang, assets, kind, model, collection, tags, words)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (doc_id, revision) DO UPDATE
SET title = excluded.title, file = excluded.file, lang = excluded.lang, assets = excluded.assets,
    kind = excluded.kind, model = excluded.model, collection = excluded.collection,
    tags = excluded.tags

-- name: heads: passages of a revision in slices by id, to make their heads again
SELECT id, content, head FROM passages WHERE document = ? AND id > ? ORDER BY id LIMIT ?

-- name: set_head: other words in the head of a passage
UPDATE passages SET head = ? WHERE id = ?

-- name: stale: a revision whose tokens and codes were found another way, those that answer first
SELECT * FROM documents WHERE words <> ? ORDER BY active DESC, id LIMIT 1

-- name: remade: its tokens and codes are found this way
UPDATE documents SET words = ? WHERE id = ?

-- name: set_words: a passage's tokens
UPDATE passages SET head = ?, body = ?, name = ? WHERE id = ?

-- name: drop_codes: the codes of a revision's passages
DELETE FROM codes WHERE passage IN (SELECT id FROM passages WHERE document = ?)

-- name: contents: what is there of a revision, to know what of a batch is new
SELECT ordinal, content FROM passages WHERE document = ? AND ordinal BETWEEN ? AND ?

-- name: drop_passage: a passage that comes again with other words
DELETE FROM passages WHERE document = ? AND ordinal = ?

-- name: drop_beyond: passages after the last one of a revision
DELETE FROM passages WHERE document = ? AND ordinal >= ?

-- name: last_passage: the highest number a passage ever had
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'passages'

-- name: put_passage: one passage
INSERT INTO passages (id, document, ordinal, kind, content, head, body, name)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: put_vector: the vector of a passage, which may be gone meanwhile; empty: it can have none
INSERT INTO vectors (passage, vector, text) SELECT :passage, :vector, :text
WHERE EXISTS (SELECT 1 FROM passages WHERE id = :passage)
ON CONFLICT (passage) DO UPDATE SET vector = excluded.vector, text = excluded.text

-- name: put_code: a code in it
INSERT INTO codes (canonical, passage, loose, strength) VALUES (?, ?, ?, ?)

-- name: count: passages of a revision
SELECT count(*) FROM passages WHERE document = ?

-- name: progress: passages of a revision, how many of them need no vector any more, and the last
SELECT count(*), count(v.passage), coalesce(max(p.id), 0)
FROM documents d JOIN passages p ON p.document = d.id LEFT JOIN vectors v ON v.passage = p.id
WHERE d.doc_id = ? AND d.revision = ?

-- name: active_revision: what answers now
SELECT id, revision FROM documents WHERE doc_id = ? AND active

-- name: fts_add: let a revision's words be found
INSERT INTO fts (rowid, head, body) SELECT id, head, body FROM passages WHERE document = ?

-- name: fts_drop: no longer (FTS5 wants the words back that it was given)
INSERT INTO fts (fts, rowid, head, body)
SELECT 'delete', id, head, body FROM passages WHERE document = ?

-- name: set_active: whether a revision answers
UPDATE documents SET active = ? WHERE id = ?

-- name: prune: revisions that do not answer and are not to be kept (JSON list)
DELETE FROM documents
WHERE doc_id = ? AND NOT active AND revision NOT IN (SELECT value FROM json_each(?))

-- name: parts: of how many the word index is
SELECT count(DISTINCT segid) FROM fts_idx

-- name: merge: put all parts of the word index together, as many pages at once as the negative says
INSERT INTO fts (fts, rank) VALUES ('merge', ?)

-- name: optimize: the same to its end; deleted words go with it
INSERT INTO fts (fts) VALUES ('optimize')

-- name: revisions: all of a document, or one (0: all)
SELECT id, active FROM documents WHERE doc_id = ?1 AND ?2 IN (0, revision)

-- name: drop_document: all of a document, or one revision; passages, vectors and codes follow
DELETE FROM documents WHERE doc_id = ?1 AND ?2 IN (0, revision)

-- name: passage_ids: labels of a revision's vectors
SELECT id FROM passages WHERE document = ?

-- name: numbers: a revision's passages, as one text
SELECT group_concat(id) FROM passages WHERE document = ?

-- name: vectors_of: a revision's vectors, in slices by id
SELECT v.passage, v.vector FROM passages p CROSS JOIN vectors v ON v.passage = p.id
WHERE p.document = ? AND v.passage > ? AND length(v.vector) ORDER BY v.passage LIMIT ?

-- name: without_vector: what has no vector of the present model, answering or not
SELECT p.id, p.content, d.title FROM passages p JOIN documents d ON d.id = p.document
LEFT JOIN vectors v ON v.passage = p.id
WHERE v.passage IS NULL AND p.id > ? ORDER BY p.id LIMIT ?

-- name: count_without_vector: how many that are, between two ids
SELECT count(*) FROM passages p LEFT JOIN vectors v ON v.passage = p.id
WHERE v.passage IS NULL AND p.id > ? AND p.id <= ?

-- name: shared: passages of a revision from an ordinal on, with their vectors
SELECT p.ordinal, p.content, v.vector FROM passages p LEFT JOIN vectors v ON v.passage = p.id
WHERE p.document = ? AND p.ordinal >= ? ORDER BY p.ordinal LIMIT ?

-- name: bare: numbers of a revision's passages that have no vector, by ordinal
SELECT p.id, p.ordinal FROM passages p LEFT JOIN vectors v ON v.passage = p.id
WHERE p.document = ? AND p.ordinal BETWEEN ? AND ? AND v.passage IS NULL

-- name: vectors_by_text: vectors of texts that were embedded before (JSON list of digests)
SELECT v.text, v.vector FROM json_each(?) j CROSS JOIN vectors v ON v.text = j.value
GROUP BY v.text

-- name: answering: those of these passages that answer (JSON list of ids)
SELECT p.id FROM passages p JOIN documents d ON d.id = p.document
WHERE p.id IN (SELECT value FROM json_each(?)) AND d.active

-- name: active_labels: passages that answer and have a vector
SELECT v.passage FROM vectors v
JOIN passages p ON p.id = v.passage JOIN documents d ON d.id = p.document
WHERE d.active AND length(v.vector) ORDER BY v.passage

-- name: vectors_at: the vectors of these passages (JSON list of ids), if they answer
SELECT v.passage, v.vector FROM json_each(?) j CROSS JOIN vectors v ON v.passage = j.value
JOIN passages p ON p.id = v.passage JOIN documents d ON d.id = p.document
WHERE d.active AND length(v.vector) ORDER BY v.passage

-- name: count_passages: all of them, answering or not
SELECT count(*) FROM passages

-- name: drop_meta: forget one fact
DELETE FROM meta WHERE key = ?

-- name: drop_coming: forget vectors of a model that does not take over, or did before: so many
DELETE FROM coming WHERE passage IN (SELECT passage FROM coming LIMIT ?)

-- name: switch_1: the model that takes over has done so; its vectors and the former ones change
-- places, which takes as long with a hundred thousand of them
ALTER TABLE vectors RENAME TO former

-- name: switch_2: second step
ALTER TABLE coming RENAME TO vectors

-- name: switch_3: third step
ALTER TABLE former RENAME TO coming

-- name: totals: passages that answer, and their vectors
SELECT count(*), count(v.passage) FROM passages p JOIN documents d ON d.id = p.document
LEFT JOIN vectors v ON v.passage = p.id AND length(v.vector) WHERE d.active

-- name: totals_of: the same of one document
SELECT count(*), count(v.passage) FROM documents d JOIN passages p ON p.document = d.id
LEFT JOIN vectors v ON v.passage = p.id AND length(v.vector) WHERE d.active AND d.doc_id = ?

-- name: frequency: in how many passages each token is (JSON list of tokens)
SELECT v.term, v.doc FROM json_each(?) j CROSS JOIN vocabulary v ON v.term = j.value

-- name: beginning: in how many passages the tokens are that begin with this, up to that token
SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? LIMIT ?

-- name: places: where a token stands, see bm25.Places, as one text: a row a place costs four times
-- as much
SELECT group_concat(2 * doc + (col = 'body')) FROM places WHERE term = ?

-- name: weighed: the passages that have a word, or words in this order, and what that counts in
-- each by BM25; in title or section as given
SELECT rowid, -bm25(fts, ?, 1.0) FROM fts WHERE fts MATCH ?

-- name: lengths: passages that answer, in slices by id, and their tokens as FTS5 counts them, see
-- bm25.lengths
SELECT group_concat(id), group_concat(hex(sz), '')
FROM (SELECT id, sz FROM fts_docsize WHERE id > ? ORDER BY id LIMIT ?)

-- name: quoted: passages that hold these words in this order, in no order themselves
SELECT rowid AS id FROM fts WHERE fts MATCH ? LIMIT ?

-- name: quoted_in: the same in some documents (JSON list of document ids)
SELECT f.rowid AS id FROM fts f JOIN passages p ON p.id = f.rowid
WHERE f.fts MATCH ? AND p.document IN (SELECT value FROM json_each(?)) LIMIT ?

-- name: holders: the documents that have a word, at most so many
SELECT DISTINCT p.document FROM fts f JOIN passages p ON p.id = f.rowid WHERE f.fts MATCH ? LIMIT ?

-- name: speaking: how many passages of each document have these words in this order, and where
SELECT p.document, count(*) AS passages, min(p.ordinal) AS first, max(p.ordinal) AS last FROM fts f JOIN passages p ON p.id = f.rowid
WHERE f.fts MATCH ? GROUP BY p.document

-- name: codes_loose: passages with one of these forgiving forms of codes (JSON list), those of some
-- documents (JSON list of ids) first, then the strongest
SELECT c.canonical, c.loose, c.passage AS id, c.strength, p.document FROM codes c
JOIN passages p ON p.id = c.passage JOIN documents d ON d.id = p.document
WHERE c.loose IN (SELECT value FROM json_each(?)) AND d.active
ORDER BY p.document IN (SELECT value FROM json_each(?)) DESC, c.strength DESC, c.passage LIMIT ?

-- name: codes_near: those of these forgiving forms (JSON list) that some passage defines
SELECT c.loose, min(c.canonical) AS canonical,
       max(p.document IN (SELECT value FROM json_each(?2))) AS inside
FROM json_each(?1) j CROSS JOIN codes c ON c.loose = j.value
JOIN passages p ON p.id = c.passage JOIN documents d ON d.id = p.document
WHERE c.strength = 3 AND d.active GROUP BY c.loose

-- name: passages: these passages (JSON list of ids), if they answer
SELECT p.id, p.document, p.kind, p.content, p.head, p.body, p.name FROM passages p
JOIN documents d ON d.id = p.document
WHERE p.id IN (SELECT value FROM json_each(?)) AND d.active

-- name: units: entries and rows of these documents (JSON list of ids) that define codes: the first
-- so many passages behind an id, each with all its codes
SELECT p.id, p.kind, p.content, c.canonical FROM (
    SELECT id FROM passages p
    WHERE document IN (SELECT value FROM json_each(?)) AND id > ? AND kind <> 'text'
        AND EXISTS (SELECT 1 FROM codes c WHERE c.passage = p.id AND c.strength = 3)
    ORDER BY id LIMIT ?
) page JOIN passages p ON p.id = page.id JOIN documents d ON d.id = p.document AND d.active
JOIN codes c ON c.passage = p.id AND c.strength = 3
ORDER BY p.id
