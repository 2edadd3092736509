-- Completes the open deliveries of orders that are completed, and frees their couriers. A
-- courier has at most one open delivery, so each is changed once.
WITH completed AS (
    -- coalesce() instead of IS NULL, so that no partial index matches.
    UPDATE courier_orders d
    -- The assignment may have committed after this transaction began.
    SET completed_at = greatest(now(), least(assigned_at, clock_timestamp()))
    WHERE order_id = ANY ($1::text[])
      AND coalesce(completed_at, 'infinity') = 'infinity'
      AND (SELECT o.state FROM orders o WHERE o.order_id = d.order_id) = 'completed'
    RETURNING order_id, courier_id
)
-- A courier is freed of that order, never by courier id alone: by now the courier may have
-- another order.
UPDATE couriers c
SET deliveries = c.deliveries + 1,
    status     = CASE WHEN c.order_id <> d.order_id OR c.order_id IS NULL THEN c.status
                      WHEN c.pause_after_delivery THEN 'paused' ELSE 'available' END,
    pause_after_delivery = c.pause_after_delivery AND c.order_id <> d.order_id,
    free_since = CASE WHEN c.order_id = d.order_id THEN now() ELSE c.free_since END,
    order_id   = nullif(c.order_id, d.order_id),
    updated_at = now()
-- The planner expects one row of completed, and of arrays several.
FROM unnest(ARRAY(SELECT order_id FROM completed), ARRAY(SELECT courier_id FROM completed)) AS d(order_id, courier_id)
WHERE c.id = ANY (ARRAY(SELECT courier_id FROM completed))
  AND c.id = d.courier_id
