-- Deletes some of the dead letters that were handled long ago.
DELETE FROM dead_letters
WHERE id IN (
    SELECT id FROM dead_letters
    WHERE handled_at < now() - $1::interval
    ORDER BY handled_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
