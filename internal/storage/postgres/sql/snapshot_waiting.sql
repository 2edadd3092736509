-- The first waiting orders. A missing order is shown at the position that it keeps; missing
-- and other orders each have their own index.
SELECT order_id, 0::bigint AS courier_id, queue_position, created_at AS since, '0001-01-01Z'::timestamptz AS deadline, false AS overdue,
       coalesce(elapsed(missing_since, now()), '0') AS missing, '' AS reason
FROM (
    (SELECT * FROM orders WHERE state = 'waiting' AND missing_since IS NULL ORDER BY queue_position LIMIT $1)
    UNION ALL
    (SELECT * FROM orders WHERE state = 'waiting' AND missing_since IS NOT NULL ORDER BY queue_position LIMIT $1)
) queue
ORDER BY queue_position
LIMIT $1
