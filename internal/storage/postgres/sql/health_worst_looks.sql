-- The orders that were looked at in vain most often.
SELECT order_id, state, look_reason, look_count + look_failures, coalesce(look_error, ''), look_due_at - now()
FROM orders
WHERE look_due_at IS NOT NULL
ORDER BY look_failures DESC, look_count DESC, look_due_at
LIMIT $1
