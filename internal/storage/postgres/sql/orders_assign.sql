-- Assigns one order to one courier, both locked by earlier statements. Effects follow from
-- what the INSERT returns, as in match.sql.
WITH delivered AS (
    INSERT INTO courier_orders (order_id, courier_id, deadline, waiting_since)
    SELECT o.order_id, c.id, now() + t.delivery_time, o.created_at
    FROM orders o, couriers c
    JOIN unnest($3::text[]::transport_type[], $4::interval[]) AS t(transport_type, delivery_time) USING (transport_type)
    WHERE o.order_id = $1 AND o.state IN ('waiting', 'held')
      AND c.id = $2 AND c.status = 'available'
    ON CONFLICT DO NOTHING
    RETURNING order_id, courier_id, deadline
), assigned AS (
    UPDATE orders o SET state = 'assigned', held_reason = NULL, updated_at = now()
    FROM delivered d
    WHERE o.order_id = d.order_id
), busy AS (
    UPDATE couriers c SET status = 'busy', order_id = d.order_id, updated_at = now()
    FROM delivered d
    WHERE c.id = d.courier_id
), journalled AS (
    -- orders is read as it was before the UPDATE above.
    INSERT INTO journal (order_id, order_number, was, state, courier_id, source, deadline)
    SELECT order_id, o.number, o.state, 'assigned', courier_id, $5, deadline FROM delivered JOIN orders o USING (order_id)
)
SELECT d.order_id, d.courier_id, c.transport_type AS transport, d.deadline
FROM delivered d JOIN couriers c ON c.id = d.courier_id
