-- Leases due orders: moves their time forward and gives each a new token, but
-- never clears it, so that a crashed replica's orders come due again.
UPDATE orders
SET look_due_at = now() + make_interval(secs => $2),
    look_token  = nextval('look_tokens')
WHERE order_id = ANY (ARRAY(
    SELECT order_id
    FROM orders
    WHERE look_due_at <= now()
    ORDER BY look_due_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
))
RETURNING order_id, look_token
