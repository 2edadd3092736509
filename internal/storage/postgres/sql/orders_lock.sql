-- Locks the orders of a batch by id, so that two batches with the same orders wait for each
-- other and never deadlock. (The index scan has that order; ORDER BY keeps it for any plan.)
SELECT order_id, state, order_created_at, hinted, missing_since IS NOT NULL AS missing,
       recheck_reason, recheck_count, recheck_failures, recheck_error, recheck_token
FROM orders
WHERE order_id = ANY ($1::text[])
ORDER BY order_id
FOR UPDATE
