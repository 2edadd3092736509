-- Removes what is old, a small batch of it. The journal is the queue: its oldest
-- rows name the orders that ended longest ago, so that no table is searched and no
-- further index has to be kept. An order goes with the row of its ending; one that
-- went on since (completed, then cancelled) goes with its later row.
WITH aged AS MATERIALIZED (
    SELECT ctid AS place, order_id, what
    FROM (SELECT ctid, order_id, what, at FROM journal ORDER BY xid, id LIMIT $2) oldest
    WHERE at < now() - make_interval(secs => $1)
), locked AS MATERIALIZED (
    SELECT order_id, state
    FROM orders
    WHERE order_id = ANY (ARRAY(SELECT order_id FROM aged WHERE what IN ('completed', 'cancelled')))
    ORDER BY order_id
    FOR UPDATE
), ended AS MATERIALIZED (
    SELECT l.order_id FROM locked l JOIN aged a ON a.order_id = l.order_id AND a.what = l.state
), delivered AS (
    -- Its order's record is not there any more when the statistics' trigger looks:
    -- so what was counted stays.
    DELETE FROM courier_orders WHERE order_id = ANY (ARRAY(SELECT order_id FROM ended)) RETURNING completed_at
), recorded AS (
    DELETE FROM orders WHERE order_id = ANY (ARRAY(SELECT order_id FROM ended)) RETURNING order_id
), journalled AS (
    DELETE FROM journal WHERE ctid = ANY (ARRAY(SELECT place FROM aged)) RETURNING id
), noted AS (
    INSERT INTO retention (removed_until)
    SELECT max(completed_at) FROM delivered HAVING max(completed_at) IS NOT NULL
    ON CONFLICT (only_row) DO UPDATE SET removed_until = greatest(retention.removed_until, excluded.removed_until)
)
SELECT (SELECT count(*) FROM journalled), (SELECT count(*) FROM recorded)
