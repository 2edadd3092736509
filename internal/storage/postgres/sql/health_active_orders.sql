-- Counts active orders (only when some are missing), missing orders, those of them that were
-- missing when service-order lost its state, and waiting orders. The monitor runs it every few
-- seconds, and there may be many active orders: each count has its own index. "order_id > ''"
-- makes the planner use orders_active.
SELECT CASE WHEN m.missing > 0 THEN (SELECT count(*) FROM orders WHERE state IN ('waiting', 'assigned', 'held') AND order_id > '') ELSE 0 END AS active,
       m.missing,
       coalesce(elapsed(m.oldest, now()), '0') AS missing_oldest,
       m.lost,
       (SELECT count(*) FROM orders WHERE state = 'waiting' AND missing_since IS NULL) + m.waiting AS waiting,
       coalesce(elapsed((SELECT created_at FROM orders WHERE state = 'waiting' AND missing_since IS NULL ORDER BY queue_position LIMIT 1), now()), '0') AS waiting_oldest
FROM (SELECT count(*) AS missing, min(missing_since) AS oldest,
             count(*) FILTER (WHERE missing_since <= (SELECT most_missing_at FROM state_lost)) AS lost,
             count(*) FILTER (WHERE state = 'waiting') AS waiting
      FROM orders WHERE missing_since IS NOT NULL AND state IN ('waiting', 'assigned', 'held')) m
