-- The visible rows of the journal after an id. A row with a lower id than the last one may
-- still be committed: livefeed.Reader stops before it.
SELECT j.id, j.at, coalesce(j.order_id, '') AS order_id, coalesce(j.was::text, '') AS "from", coalesce(j.state::text, '') AS state, j.source, j.reason,
       coalesce(j.courier_change::text, '') AS courier_change, coalesce(c.phone, '') AS courier_phone, coalesce(c.status::text, '') AS courier_status,
       coalesce(c.order_id, '') AS courier_order, coalesce(c.pause_after_delivery, false) AS pause_after, coalesce(c.deliveries, 0) AS deliveries,
       coalesce(j.courier_id, 0) AS courier_id, coalesce(c.name, '') AS courier_name, coalesce(c.transport_type::text, '') AS transport,
       coalesce(d.deadline, '0001-01-01Z') AS deadline, coalesce(j.deadline, '0001-01-01Z') AS first_deadline, coalesce(o.state::text, '') AS current_state,
       coalesce(o.created_at, '0001-01-01Z') AS first_seen_at, o.queue_position
FROM journal j
LEFT JOIN couriers c ON c.id = j.courier_id
LEFT JOIN courier_orders d ON j.state = 'assigned' AND d.order_id = j.order_id AND d.courier_id = j.courier_id
LEFT JOIN orders o ON o.order_id = j.order_id
WHERE j.id > $1
ORDER BY j.id
LIMIT $2
