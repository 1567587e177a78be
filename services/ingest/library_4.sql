-- Whether the inbox made the document: only then it goes with its file.
ALTER TABLE inbox ADD COLUMN made INTEGER NOT NULL DEFAULT 1;
