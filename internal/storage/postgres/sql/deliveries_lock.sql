-- Locks the couriers whose deliveries a batch ends by id, so that two batches with the same
-- couriers wait for each other and never deadlock.
SELECT id
FROM couriers
WHERE id = ANY (ARRAY(SELECT courier_id FROM courier_orders WHERE order_id = ANY ($1::text[])))
ORDER BY id
FOR UPDATE
