-- Open orders by state, with those that service-order answers 404 about and those
-- behind their deadline.
SELECT count(*) FILTER (WHERE o.state = 'waiting'),
       count(o.missing_since) FILTER (WHERE o.state = 'waiting'),
       count(*) FILTER (WHERE o.state = 'assigned'),
       count(o.missing_since) FILTER (WHERE o.state = 'assigned'),
       (SELECT count(*) FROM courier_orders WHERE completed_at IS NULL AND deadline < now() AND deadline > '-infinity'),
       count(*) FILTER (WHERE o.state = 'held'),
       count(o.missing_since) FILTER (WHERE o.state = 'held')
FROM orders o
WHERE o.state IN ('waiting', 'assigned', 'held') AND o.order_id > '' -- as the index says it
