-- Rows that can leave again, and fewer pages written for each fault.

-- The message as it came, for `andon replay`; NULL where an earlier event has it (a message that
-- clears several alarms), where it is the body itself (questions, feedback), and before this version.
ALTER TABLE event ADD COLUMN payload BLOB;

-- A job has its event's number: one index less to write, and removing an event finds its job.
CREATE TABLE job_2 (
    id INTEGER PRIMARY KEY REFERENCES event (id),
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
    UNIQUE (answer_id, place) -- in this order, to find an answer by its id
);
INSERT INTO job_2 SELECT event_id, answer_id, place, question, body, priority, state, reason, attempts,
    received_at, deadline_at, lease_until FROM job;
DROP TABLE job;
ALTER TABLE job_2 RENAME TO job;
CREATE INDEX job_open ON job (state, priority, id) WHERE state IN ('due', 'working');

-- An answer has its job's number: it goes to the end of its table, where one page is written, not
-- somewhere into a tree that is kept in order of places, where it was four.
CREATE TABLE answer_2 (
    id INTEGER PRIMARY KEY, -- no reference: what is saved of a damaged file may lack the job
    answer_id TEXT NOT NULL,
    place TEXT NOT NULL,
    stage TEXT NOT NULL,
    body BLOB NOT NULL,
    created TEXT NOT NULL
);
INSERT INTO answer_2 SELECT job.id, answer_id, place, stage, answer.body, created
    FROM answer JOIN job USING (answer_id, place);
DROP TABLE answer;
ALTER TABLE answer_2 RENAME TO answer;

-- Numbered by the program: AUTOINCREMENT writes a page more in each commit.
CREATE TABLE outbox_2 (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    retain INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    correlation BLOB,
    trace TEXT NOT NULL,
    expiry_s INTEGER
);
INSERT INTO outbox_2 SELECT * FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_2 RENAME TO outbox;

-- A file in `history` whose rows are being removed, or are about to be.
CREATE TABLE leaving (name TEXT PRIMARY KEY) WITHOUT ROWID;
