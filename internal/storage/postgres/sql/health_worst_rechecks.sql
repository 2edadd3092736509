-- Pending rechecks with the most failures.
SELECT order_id, state, recheck_reason AS reason, recheck_count + recheck_failures AS attempts,
       coalesce(recheck_error, '') AS error, elapsed(now(), recheck_at) AS "in"
FROM orders
WHERE recheck_at IS NOT NULL
ORDER BY recheck_failures DESC, recheck_count DESC, recheck_at
LIMIT $1
