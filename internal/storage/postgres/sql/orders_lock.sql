-- Locks the orders of a batch in the order of their ids, so that two batches
-- with the same orders wait for each other and never deadlock. (The index scan takes
-- them in that order by itself; the ORDER BY holds for any other plan.)
SELECT order_id, state, order_created_at, hinted, missing_since IS NOT NULL,
       look_reason, look_count, look_failures, look_error, look_token
FROM orders
WHERE order_id = ANY ($1::text[])
ORDER BY order_id
FOR UPDATE
