-- The open deliveries, the earliest deadline first.
SELECT d.order_id, d.courier_id, d.assigned_at, d.deadline, d.deadline < now(), coalesce(now() - o.missing_since, '0'), ''
FROM courier_orders d
JOIN orders o ON o.order_id = d.order_id
WHERE d.completed_at IS NULL AND d.deadline > '-infinity' -- as the index says it
ORDER BY d.deadline
LIMIT $1
