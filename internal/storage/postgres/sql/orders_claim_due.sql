-- Leases due orders: moves their time forward and gives each a new token, but
-- never clears it, so that a crashed replica's orders come due again.
WITH due AS (
    SELECT order_id
    FROM orders
    WHERE look_due_at <= now()
    ORDER BY look_due_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE orders o
SET look_due_at = now() + make_interval(secs => $2),
    look_token  = nextval('look_tokens')
FROM due
WHERE o.order_id = due.order_id
RETURNING o.order_id, o.look_token
