-- Deletes a small batch of old rows. The oldest rows of the journal name the orders that
-- ended first, so that no table is searched and no index is added. An order is deleted
-- together with the journal row of its present state: one that was completed and then
-- cancelled goes with the row of the cancellation.
WITH aged AS MATERIALIZED (
    SELECT ctid AS row_id, order_id, state
    FROM (SELECT ctid, id, order_id, state, at FROM journal ORDER BY id LIMIT $2) oldest
    WHERE at < now() - make_interval(secs => $1)
      -- The outbox publishes a row before it is removed.
      AND (NOT $3 OR id <= coalesce((SELECT published_id FROM outbox), 0))
), locked AS MATERIALIZED (
    SELECT order_id, state
    FROM orders
    WHERE order_id = ANY (ARRAY(SELECT order_id FROM aged WHERE state IN ('completed', 'cancelled')))
    ORDER BY order_id
    FOR UPDATE
), ended AS MATERIALIZED (
    SELECT l.order_id FROM locked l JOIN aged a ON a.order_id = l.order_id AND a.state = l.state
), delivered AS (
    -- The order is deleted too, so that the trigger leaves the statistics as they are.
    DELETE FROM courier_orders WHERE order_id = ANY (ARRAY(SELECT order_id FROM ended)) RETURNING completed_at
), removed AS (
    DELETE FROM orders WHERE order_id = ANY (ARRAY(SELECT order_id FROM ended)) RETURNING order_id
), journalled AS (
    DELETE FROM journal WHERE ctid = ANY (ARRAY(SELECT row_id FROM aged)) RETURNING id
), noted AS (
    INSERT INTO retention (removed_until)
    SELECT max(completed_at) FROM delivered HAVING max(completed_at) IS NOT NULL
    ON CONFLICT (only_row) DO UPDATE SET removed_until = greatest(retention.removed_until, excluded.removed_until)
)
SELECT (SELECT count(*) FROM journalled), (SELECT count(*) FROM removed)
