-- What is before an order in the waiting queue, and the couriers for it. Missing orders and
-- the others each have their own index.
SELECT q.before + q.before_missing AS before, q.before_missing,
       (SELECT count(*) FROM couriers WHERE status = 'available') AS free_couriers
FROM (SELECT (SELECT count(*) FROM orders WHERE state = 'waiting' AND missing_since IS NULL
                 AND queue_position < (SELECT queue_position FROM orders WHERE order_id = $1)) AS before,
             (SELECT count(*) FROM orders WHERE state = 'waiting' AND missing_since IS NOT NULL
                 AND queue_position < (SELECT queue_position FROM orders WHERE order_id = $1)) AS before_missing) q
