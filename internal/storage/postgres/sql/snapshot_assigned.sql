-- Open deliveries, earliest deadline first.
SELECT d.order_id, d.courier_id, NULL::bigint AS queue_position, d.assigned_at AS since, d.deadline, d.deadline < now() AS overdue,
       coalesce(elapsed(o.missing_since, now()), '0') AS missing, '' AS reason
FROM courier_orders d
JOIN orders o ON o.order_id = d.order_id
WHERE d.completed_at IS NULL AND d.deadline >= '-infinity' -- selects courier_orders_overdue
ORDER BY d.deadline
LIMIT $1
