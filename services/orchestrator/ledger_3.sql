-- Versions of the prompts, numbered by name from 1; 0 is the file that ships. None ever changes.
CREATE TABLE prompt (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    note TEXT NOT NULL,
    author TEXT NOT NULL,
    created TEXT NOT NULL,
    UNIQUE (name, version)
);

-- Which version was made active, in order; the last that is not undone answers.
CREATE TABLE activation (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    author TEXT NOT NULL,
    created TEXT NOT NULL,
    -- When it was rolled back; NULL where it was not.
    undone TEXT
);

-- The texts that came with this Andon, to notice that another one ships others.
CREATE TABLE shipped (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    created TEXT NOT NULL
) WITHOUT ROWID;

-- What the model was asked and gave; several answers to the same question may share it.
CREATE TABLE made (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    -- The whole request, JSON, deflated (zlib).
    request BLOB NOT NULL,
    created TEXT NOT NULL
);

-- NULL where no model took part.
ALTER TABLE answer ADD COLUMN made INTEGER;
CREATE INDEX answer_made ON answer (made) WHERE made IS NOT NULL;
