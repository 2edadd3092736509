-- Deletes the deliveries of orders that are cancelled or on hold, and frees their couriers. A
-- completed delivery is subtracted; a courier may have several.
WITH deleted AS (
    DELETE FROM courier_orders d
    WHERE order_id = ANY ($1::text[])
      AND (SELECT o.state FROM orders o WHERE o.order_id = d.order_id) IN ('cancelled', 'held')
    RETURNING order_id, courier_id, completed_at IS NOT NULL AS was_counted
), tally AS (
    -- The planner expects one row of deleted, and of arrays several.
    SELECT courier_id, count(*) FILTER (WHERE was_counted) AS counted, array_agg(order_id) AS order_ids
    FROM unnest(ARRAY(SELECT order_id FROM deleted), ARRAY(SELECT courier_id FROM deleted), ARRAY(SELECT was_counted FROM deleted))
         AS d(order_id, courier_id, was_counted)
    GROUP BY courier_id
)
-- A courier is freed of that order, never by courier id alone: by now the courier may have
-- another order.
UPDATE couriers c
SET deliveries = c.deliveries - t.counted,
    status     = CASE WHEN c.order_id <> ALL (t.order_ids) OR c.order_id IS NULL THEN c.status
                      WHEN c.pause_after_delivery THEN 'paused' ELSE 'available' END,
    pause_after_delivery = c.pause_after_delivery AND c.order_id <> ALL (t.order_ids),
    free_since = CASE WHEN c.order_id = ANY (t.order_ids) THEN now() ELSE c.free_since END,
    order_id   = CASE WHEN c.order_id = ANY (t.order_ids) THEN NULL ELSE c.order_id END,
    updated_at = now()
FROM tally t
WHERE c.id = ANY (ARRAY(SELECT courier_id FROM tally))
  AND c.id = t.courier_id
