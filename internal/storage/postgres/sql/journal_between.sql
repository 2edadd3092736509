-- The ids of the journal between two times, from first up to last, which is not included. Of
-- more than $3 ids, the first $3, and the time after them. The journal has no index of times:
-- each end is found by halving the range of ids. A row gets its id and its time within far
-- less than a minute, so the reader filters the rows by their times.
WITH RECURSIVE search AS (
    SELECT goal, coalesce((SELECT min(id) FROM journal), 1) AS low, coalesce((SELECT max(id) FROM journal), 0) + 1 AS high
    FROM (VALUES ($1::timestamptz - interval '1 minute'), ($2::timestamptz + interval '1 minute')) goals(goal)
    UNION ALL
    SELECT goal, CASE WHEN early THEN middle + 1 ELSE low END, CASE WHEN early THEN high ELSE middle END
    FROM (
        SELECT goal, low, high, middle,
               coalesce((SELECT j.at < goal FROM journal j WHERE j.id >= middle ORDER BY j.id LIMIT 1), false) AS early
        FROM search, LATERAL (SELECT (low + high) / 2 AS middle) half
        WHERE low < high
    ) step
), ends AS (
    SELECT min(low) AS first, max(low) AS last FROM (SELECT max(low) AS low FROM search GROUP BY goal) found
)
SELECT first, least(last, first + $3::bigint) AS last,
       CASE WHEN last > first + $3 THEN (SELECT at FROM journal WHERE id >= first + $3 ORDER BY id LIMIT 1) END AS until
FROM ends
