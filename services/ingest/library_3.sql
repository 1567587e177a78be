-- What could not be read of a revision stays known, whatever else its reason says meanwhile.

ALTER TABLE revision ADD COLUMN note TEXT NOT NULL DEFAULT '';
-- Whether pages were left out because there was no text recognition on this machine.
ALTER TABLE revision ADD COLUMN lacks_ocr INTEGER NOT NULL DEFAULT 0;

UPDATE revision SET note = reason, lacks_ocr = reason LIKE '%text recognition is missing%'
WHERE state = 'ready';
