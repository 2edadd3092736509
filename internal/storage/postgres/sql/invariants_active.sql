-- Violations among the couriers, the open deliveries and the active orders: few rows.
-- "order_id > ''" makes the planner use orders_active.
SELECT 'courier has two open deliveries' AS invariant, courier_id::text AS subject
FROM courier_orders WHERE completed_at IS NULL GROUP BY courier_id HAVING count(*) > 1
UNION ALL
SELECT 'busy courier without an open delivery', c.id::text
FROM couriers c
WHERE c.status = 'busy' AND NOT EXISTS (
    SELECT FROM courier_orders d WHERE d.courier_id = c.id AND d.order_id = c.order_id AND d.completed_at IS NULL)
UNION ALL
SELECT 'open delivery whose courier is not busy with it', d.order_id
FROM courier_orders d
WHERE d.completed_at IS NULL AND NOT EXISTS (
    SELECT FROM couriers c WHERE c.id = d.courier_id AND c.status = 'busy' AND c.order_id = d.order_id)
UNION ALL
SELECT 'assigned order without a delivery', o.order_id
FROM orders o
WHERE o.state = 'assigned' AND o.order_id > '' AND NOT EXISTS (SELECT FROM courier_orders d WHERE d.order_id = o.order_id)
UNION ALL
SELECT 'order waits for more than a second beside an available courier', o.order_id
FROM orders o
WHERE o.state = 'waiting' AND o.missing_since IS NULL AND o.updated_at < now() - interval '1 second'
  AND EXISTS (SELECT FROM couriers c WHERE c.status = 'available'
              AND greatest(c.free_since, c.updated_at) < now() - interval '1 second')
