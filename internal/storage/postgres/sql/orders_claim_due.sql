-- Leases due orders: moves their recheck forward and gives it a new token, but never
-- clears it, so that the orders of a crashed replica become due again.
UPDATE orders
SET recheck_at = now() + make_interval(secs => $2),
    recheck_token = nextval('recheck_tokens')
WHERE order_id = ANY (ARRAY(
    SELECT order_id
    FROM orders
    WHERE recheck_at <= now()
    ORDER BY recheck_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
))
RETURNING order_id, recheck_token AS token
