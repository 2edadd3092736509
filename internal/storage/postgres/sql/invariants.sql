-- Every row is a broken promise: what it is, and who breaks it. An empty
-- answer means that the database is whole.
SELECT 'two open deliveries of one courier' AS promise, courier_id::text AS who
FROM courier_orders WHERE completed_at IS NULL GROUP BY courier_id HAVING count(*) > 1
UNION ALL
SELECT 'courier busy without his open delivery', c.id::text
FROM couriers c
WHERE c.status = 'busy' AND NOT EXISTS (
    SELECT FROM courier_orders d WHERE d.courier_id = c.id AND d.order_id = c.order_id AND d.completed_at IS NULL)
UNION ALL
SELECT 'open delivery whose courier is not busy with it', d.order_id
FROM courier_orders d
WHERE d.completed_at IS NULL AND NOT EXISTS (
    SELECT FROM couriers c WHERE c.id = d.courier_id AND c.status = 'busy' AND c.order_id = d.order_id)
UNION ALL
SELECT 'delivery counter differs from the completed deliveries', c.id::text
FROM couriers c
-- The statistics, which are compared with the deliveries below, outlive those removed for their age.
LEFT JOIN (SELECT courier_id, sum(deliveries) AS completed FROM courier_days GROUP BY courier_id) d
    ON d.courier_id = c.id
WHERE c.deliveries <> coalesce(d.completed, 0)
UNION ALL
SELECT 'delivery of an order that must have none', o.order_id || ' ' || o.state
FROM orders o JOIN courier_orders d USING (order_id)
WHERE o.state NOT IN ('assigned', 'completed')
UNION ALL
SELECT 'delivery open and order completed, or the other way round', o.order_id || ' ' || o.state
FROM orders o JOIN courier_orders d USING (order_id)
WHERE o.state IN ('assigned', 'completed') AND (o.state = 'completed') <> (d.completed_at IS NOT NULL)
UNION ALL
SELECT 'assigned order without a delivery', o.order_id
FROM orders o
WHERE o.state = 'assigned' AND NOT EXISTS (SELECT FROM courier_orders d WHERE d.order_id = o.order_id)
UNION ALL
SELECT 'delivery of an order without a record', d.order_id
FROM courier_orders d
WHERE NOT EXISTS (SELECT FROM orders o WHERE o.order_id = d.order_id)
UNION ALL
SELECT 'order waits beside a free courier for more than a second', o.order_id
FROM orders o
WHERE o.state = 'waiting' AND o.missing_since IS NULL AND o.updated_at < now() - interval '1 second'
  AND EXISTS (SELECT FROM couriers c WHERE c.status = 'available'
              AND greatest(c.free_since, c.updated_at) < now() - interval '1 second')
UNION ALL
SELECT 'statistics of a courier differ from his completed deliveries', courier_id || ' ' || day FROM courier_days_lack
UNION ALL
SELECT 'statistics of the fleet differ from those of its couriers', day::text FROM fleet_days_lack
