-- Active orders by state, with the missing and the overdue ones.
SELECT count(*) FILTER (WHERE o.state = 'waiting') AS waiting,
       count(o.missing_since) FILTER (WHERE o.state = 'waiting') AS waiting_missing,
       count(*) FILTER (WHERE o.state = 'assigned') AS assigned,
       count(o.missing_since) FILTER (WHERE o.state = 'assigned') AS assigned_missing,
       (SELECT count(*) FROM courier_orders WHERE completed_at IS NULL AND deadline < now() AND deadline >= '-infinity') AS assigned_overdue,
       count(*) FILTER (WHERE o.state = 'held') AS held,
       count(o.missing_since) FILTER (WHERE o.state = 'held') AS held_missing
FROM orders o
WHERE o.state IN ('waiting', 'assigned', 'held') AND o.order_id > '' -- selects orders_active
