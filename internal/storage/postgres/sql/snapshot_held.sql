SELECT order_id, 0::bigint, created_at, '0001-01-01Z'::timestamptz, false, coalesce(now() - missing_since, '0'), coalesce(held_reason, '')
FROM orders
WHERE state IN ('waiting', 'assigned', 'held') AND state = 'held'
ORDER BY order_id
LIMIT $1
