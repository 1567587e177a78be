-- The ledger: what came in, what became of it, and what still has to go out.
-- Times are RFC 3339 UTC; `*_at` are seconds since 1970, for comparing.
-- Each page a commit touches is written to the disk: hence few indices, and rows that go to the
-- end of their table.

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('fault', 'ask', 'feedback')),
    topic TEXT NOT NULL,
    body BLOB NOT NULL,
    received TEXT NOT NULL,
    trace TEXT NOT NULL,
    -- To know a message the broker sends again; NULL where that does not matter.
    digest BLOB,
    -- The message as it came, for `andon replay`; NULL where it is the body itself.
    payload BLOB
);

CREATE TABLE rejected (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    head TEXT NOT NULL,
    size INTEGER NOT NULL,
    received TEXT NOT NULL
);

-- One row an answer that is due, being worked on, given, or given up. It has the number of the
-- event that asked for it first.
CREATE TABLE job (
    id INTEGER PRIMARY KEY REFERENCES event (id),
    answer_id TEXT NOT NULL,
    place TEXT NOT NULL,
    question TEXT NOT NULL,
    body BLOB NOT NULL,
    priority INTEGER NOT NULL,
    -- 1 for the first-out alarm of a flood: before all others of its priority.
    front INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('due', 'working', 'done', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    received_at REAL NOT NULL,
    deadline_at REAL NOT NULL,
    lease_until REAL,
    -- The states it was in and since when, the latest 40: [["due", 1.5], ["working", 1.6]].
    history TEXT NOT NULL DEFAULT '[]',
    UNIQUE (answer_id, place) -- in this order, to find an answer by its id
);

CREATE INDEX job_due ON job (priority, front DESC, id) WHERE state = 'due';
CREATE INDEX job_working ON job (lease_until) WHERE state = 'working';
CREATE INDEX job_failed ON job (id) WHERE state = 'failed';

CREATE TRIGGER job_begins AFTER INSERT ON job BEGIN
    UPDATE job SET history = json_array(
        json_array(new.state, round((julianday('now') - 2440587.5) * 86400.0, 3))
    ) WHERE id = new.id;
END;

CREATE TRIGGER job_changes AFTER UPDATE OF state ON job WHEN old.state <> new.state BEGIN
    UPDATE job SET history = json_insert(
        CASE WHEN json_array_length(history) < 40 THEN history ELSE json_remove(history, '$[0]') END,
        '$[#]',
        json_array(new.state, round((julianday('now') - 2440587.5) * 86400.0, 3))
    ) WHERE id = new.id;
END;

-- An answer has its job's number.
CREATE TABLE answer (
    id INTEGER PRIMARY KEY, -- no reference: what is saved of a damaged file may lack the job
    answer_id TEXT NOT NULL,
    place TEXT NOT NULL,
    stage TEXT NOT NULL,
    body BLOB NOT NULL,
    created TEXT NOT NULL
);

-- What is remembered of each alarm; `code` stands for the words where there is no code.
CREATE TABLE alarm (
    asset TEXT NOT NULL,
    code TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (asset, code)
) WITHOUT ROWID;

-- Areas that had new alarms lately, for floods.
CREATE TABLE area (
    area TEXT PRIMARY KEY,
    body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    answer_id TEXT NOT NULL,
    body BLOB NOT NULL,
    received TEXT NOT NULL
);

-- What is committed and not yet with the broker, in order; numbered by the program.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    retain INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    correlation BLOB,
    trace TEXT NOT NULL,
    expiry_s INTEGER
);

-- A file in `history` whose rows are being removed, or are about to be.
CREATE TABLE leaving (name TEXT PRIMARY KEY) WITHOUT ROWID;
