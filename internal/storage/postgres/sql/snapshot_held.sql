SELECT order_id, 0::bigint, created_at, '0001-01-01Z'::timestamptz, false, coalesce(now() - missing_since, '0'), coalesce(held_reason, '')
FROM orders
WHERE state = 'held'
ORDER BY updated_at, order_id
LIMIT $1
