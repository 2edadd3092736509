-- Orders on hold, longest first.
SELECT order_id, 0::bigint AS courier_id, NULL::bigint AS queue_position, created_at AS since, '0001-01-01Z'::timestamptz AS deadline, false AS overdue,
       coalesce(elapsed(missing_since, now()), '0') AS missing, coalesce(held_reason, '') AS reason
FROM orders
WHERE state = 'held'
ORDER BY updated_at, order_id
LIMIT $1
