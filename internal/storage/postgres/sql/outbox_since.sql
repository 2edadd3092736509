-- The id before the first transition at or after $1, of those up to $2; else $2. A row
-- gets its id and its time within far less than a minute, so that only rows from a minute
-- before $1 on are read.
SELECT coalesce((
    SELECT id - 1 FROM journal
    WHERE id <= $2 AND at >= $1
      AND id > coalesce((SELECT id FROM journal WHERE id <= $2 AND at < $1 - interval '1 minute' ORDER BY id DESC LIMIT 1), 0)
    ORDER BY id LIMIT 1), $2)
