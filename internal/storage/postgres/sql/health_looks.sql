-- The orders that are to be looked at again, by why.
SELECT look_reason, count(*), count(*) FILTER (WHERE look_due_at < now()), max(look_count + look_failures), min(look_due_at)
FROM orders
WHERE look_due_at IS NOT NULL
GROUP BY look_reason
ORDER BY look_reason
