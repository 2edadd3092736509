-- Violations among the deliveries from row $1 up to row $2 of the table: one piece of it,
-- read in the order in which it is stored.
SELECT CASE WHEN o.order_id IS NULL THEN 'delivery of an unknown order'
            WHEN o.state NOT IN ('assigned', 'completed') THEN 'delivery of an order that must have none'
            ELSE 'delivery completed and order not, or the reverse' END AS invariant,
       d.order_id || coalesce(' ' || o.state, '') AS subject
FROM courier_orders d LEFT JOIN orders o USING (order_id)
WHERE d.ctid >= $1::text::tid AND d.ctid < $2::text::tid
  AND (o.order_id IS NULL OR o.state NOT IN ('assigned', 'completed') OR (o.state = 'completed') <> (d.completed_at IS NOT NULL))
