-- Answers that are prepared before a fault strikes.

-- What was prepared for a code as a manual defines it; `body` NULL: nothing that stands on it.
CREATE TABLE prepared (
    unit TEXT NOT NULL, -- code, document, revision, and what the prompt says besides
    lang TEXT NOT NULL,
    prompt TEXT NOT NULL, -- version and digest
    model TEXT NOT NULL,
    -- Of the corpus it was last found to stand on.
    generation INTEGER NOT NULL,
    -- Digest of all that the model was shown: where that is the same, so is the answer.
    shown BLOB NOT NULL,
    body BLOB,
    reason TEXT NOT NULL,
    made_at REAL NOT NULL,
    made INTEGER, -- what it was made with; goes with this row, or with the last answer
    PRIMARY KEY (unit, lang, prompt, model)
) WITHOUT ROWID;
CREATE INDEX prepared_made ON prepared (made) WHERE made IS NOT NULL;

-- Codes that may strike an asset.
CREATE TABLE plan (
    asset TEXT NOT NULL,
    lang TEXT NOT NULL,
    code TEXT NOT NULL,
    rank INTEGER NOT NULL, -- the likely ones first
    -- What its answer was made with; it is due where that is not what would be used now.
    basis TEXT NOT NULL DEFAULT '',
    -- Why there is none: the manuals do not define the code, or what the model wrote of it does not
    -- stand on them.
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (asset, lang, code)
) WITHOUT ROWID;
CREATE INDEX plan_order ON plan (lang, rank, asset);
