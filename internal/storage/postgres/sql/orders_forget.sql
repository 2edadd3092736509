-- Forgets orders whose looks came to nothing. The rows are locked; only one
-- that still is what it was may go.
DELETE FROM orders WHERE order_id = ANY ($1::text[]) AND state = 'seen'
