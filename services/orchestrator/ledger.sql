-- The ledger: what came in, what became of it, and what still has to go out.
-- Times are RFC 3339 UTC; `*_at` are seconds since 1970, for comparing.

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('fault', 'ask', 'feedback')),
    topic TEXT NOT NULL,
    body BLOB NOT NULL,
    received TEXT NOT NULL,
    trace TEXT NOT NULL,
    -- Of the payload, to know a message the broker sends again; NULL where that does not matter.
    digest BLOB
);

CREATE TABLE rejected (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    head TEXT NOT NULL,
    size INTEGER NOT NULL,
    received TEXT NOT NULL
);

-- One row an answer that is due, being worked on, given, or given up.
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    event_id INTEGER NOT NULL REFERENCES event (id),
    answer_id TEXT NOT NULL,
    place TEXT NOT NULL,
    question TEXT NOT NULL,
    body BLOB NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('due', 'working', 'done', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    received_at REAL NOT NULL,
    deadline_at REAL NOT NULL,
    lease_until REAL,
    UNIQUE (place, answer_id)
);

CREATE INDEX job_open ON job (state, priority, id) WHERE state IN ('due', 'working');

CREATE TABLE answer (
    answer_id TEXT NOT NULL,
    place TEXT NOT NULL,
    stage TEXT NOT NULL,
    body BLOB NOT NULL,
    created TEXT NOT NULL,
    PRIMARY KEY (place, answer_id)
) WITHOUT ROWID;

CREATE INDEX answer_id ON answer (answer_id);

CREATE TABLE alarm (
    asset TEXT NOT NULL,
    code TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (asset, code)
) WITHOUT ROWID;

CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    answer_id TEXT NOT NULL,
    body BLOB NOT NULL,
    received TEXT NOT NULL
);

-- What is committed and not yet with the broker, in order.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    retain INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    correlation BLOB,
    trace TEXT NOT NULL,
    expiry_s INTEGER
);
