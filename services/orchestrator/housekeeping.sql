-- The windows take ?1 the number to begin behind, ?2 and ?3 the time before which rows are old, as
-- seconds and as text, ?4 how many rows. They go by number, so that only the old end of a table is
-- read; `leaves` tells which rows are to go. Answers of alarms that stand stay, with job and event.
-- What removes a row takes the columns of the file: whatever changed since it was written stays.

-- name: window_job: finished jobs
SELECT *, received_at < ?2 AND ?3 <> '' AS old,
    received_at < ?2 AND state IN ('done', 'failed') AND answer_id NOT IN (
        SELECT json_extract(CAST(body AS TEXT), '$.alarm.answer_id') FROM alarm
        WHERE json_extract(CAST(body AS TEXT), '$.alarm.state') = 'active'
    ) AS leaves
FROM job WHERE id > ?1 ORDER BY id LIMIT ?4;

-- name: answers: of jobs, whose number and age they share; ?1 is a JSON list of numbers
SELECT * FROM answer WHERE id IN (SELECT value FROM json_each(?1));

-- name: made: by numbers; ?1 is a JSON list of them
SELECT * FROM made WHERE id IN (SELECT value FROM json_each(?1));

-- name: window_made: of answers that were given anew since
SELECT *, created < ?3 AS old, created < ?3 AND ?2 > 0 AND NOT EXISTS (
        SELECT 1 FROM answer WHERE answer.made = made.id
    ) AND NOT EXISTS (SELECT 1 FROM prepared WHERE prepared.made = made.id) AS leaves
FROM made WHERE id > ?1 ORDER BY id LIMIT ?4;

-- name: window_event: events whose job, if they had one, leaves as well
SELECT *, received < ?3 AS old,
    received < ?3 AND NOT EXISTS (
        SELECT 1 FROM job WHERE job.id = event.id AND (
            received_at >= ?2 OR state NOT IN ('done', 'failed') OR answer_id IN (
                SELECT json_extract(CAST(body AS TEXT), '$.alarm.answer_id') FROM alarm
                WHERE json_extract(CAST(body AS TEXT), '$.alarm.state') = 'active'
            )
        )
    ) AS leaves
FROM event WHERE id > ?1 ORDER BY id LIMIT ?4;

-- name: window_rejected: refused messages
SELECT *, received < ?3 AS old, received < ?3 AND ?2 > 0 AS leaves
FROM rejected WHERE id > ?1 ORDER BY id LIMIT ?4;

-- name: window_feedback: what people said of answers
SELECT *, received < ?3 AS old, received < ?3 AND ?2 > 0 AS leaves
FROM feedback WHERE id > ?1 ORDER BY id LIMIT ?4;

-- name: remove_answer: one row
DELETE FROM answer WHERE id = :id AND created = :created
AND EXISTS (SELECT 1 FROM job WHERE job.id = answer.id AND state IN ('done', 'failed'));

-- name: remove_made: one row, unless an answer that stays, or is prepared, was made with it too
DELETE FROM made WHERE id = :id AND created = :created
AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.made = made.id)
AND NOT EXISTS (SELECT 1 FROM prepared WHERE prepared.made = made.id);

-- name: remove_job: one row
DELETE FROM job WHERE id = :id AND received_at = :received_at AND state IN ('done', 'failed')
AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.id = job.id);

-- name: remove_event: one row
DELETE FROM event WHERE id = :id AND received = :received
AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = event.id);

-- name: remove_rejected: one row
DELETE FROM rejected WHERE id = :id AND received = :received;

-- name: remove_feedback: one row
DELETE FROM feedback WHERE id = :id AND received = :received;
