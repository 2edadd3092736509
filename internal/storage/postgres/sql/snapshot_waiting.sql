-- Who stands longest in line. A missing order keeps its place, so it is shown at
-- it; each of the two lists has its own index.
SELECT order_id, 0::bigint, created_at, '0001-01-01Z'::timestamptz, false, coalesce(now() - missing_since, '0'), ''
FROM (
    (SELECT * FROM orders WHERE state = 'waiting' AND missing_since IS NULL ORDER BY place LIMIT $1)
    UNION ALL
    (SELECT * FROM orders WHERE state = 'waiting' AND missing_since IS NOT NULL ORDER BY missing_since, order_id LIMIT $1)
) line
ORDER BY place
LIMIT $1
