-- Gives the orders that stood in line longest to the free couriers with the
-- fewest deliveries. Rows are locked in one step and numbered in the next, for
-- numbering and locking do not go together; what is locked elsewhere is skipped.
-- Only what the INSERT took becomes assigned and busy, so that a bad row costs
-- nobody else a courier; the subselects keep it from standing first for ever
-- (as scalar ones they stay index look-ups however large the history grows). What
-- is changed is named by an array of keys: so it is found by the primary key also
-- under a plan that was made when the tables were empty.
WITH demand AS (
    -- A long line that nobody is free for is not counted.
    SELECT count(*) AS waiting
    FROM (
        SELECT FROM orders WHERE state = 'waiting' AND missing_since IS NULL
        ORDER BY place LIMIT CASE WHEN EXISTS (SELECT FROM couriers WHERE status = 'available') THEN $1 ELSE 0 END
    ) w
), fleet AS (
    -- No more than there is demand for: one order costs no look at a whole fleet. The
    -- order is the index's: without it the planner may look for the few free couriers
    -- among all of them.
    SELECT count(*) AS free
    FROM (
        SELECT FROM couriers WHERE status = 'available'
        ORDER BY deliveries, free_since, id LIMIT (SELECT waiting FROM demand)
    ) f
), line AS MATERIALIZED (
    SELECT o.order_id, o.place, o.created_at
    FROM orders o
    WHERE o.state = 'waiting'
      AND o.missing_since IS NULL
      AND (SELECT d.courier_id FROM courier_orders d WHERE d.order_id = o.order_id) IS NULL
      AND (SELECT c.id FROM couriers c WHERE c.order_id = o.order_id) IS NULL
    ORDER BY o.place
    LIMIT (SELECT free FROM fleet)
    FOR UPDATE OF o SKIP LOCKED
), free AS MATERIALIZED (
    SELECT c.id, c.transport_type, c.deliveries, c.free_since
    FROM couriers c
    WHERE c.status = 'available'
      AND (SELECT d.order_id FROM courier_orders d WHERE d.courier_id = c.id AND d.completed_at IS NULL) IS NULL
    ORDER BY c.deliveries, c.free_since, c.id
    LIMIT (SELECT count(*) FROM line)
    FOR UPDATE OF c SKIP LOCKED
), pairs AS (
    -- Side by side as arrays: joined by number, the planner, which cannot know how
    -- many there are, might compare every order with every courier.
    SELECT p.*
    FROM (SELECT array_agg(order_id ORDER BY place) AS order_ids,
                 array_agg(created_at ORDER BY place) AS known_since FROM line) l,
         (SELECT array_agg(id ORDER BY deliveries, free_since, id) AS courier_ids,
                 array_agg(transport_type ORDER BY deliveries, free_since, id) AS transport_types FROM free) f,
         unnest(l.order_ids, l.known_since, f.courier_ids, f.transport_types) AS p(order_id, known_since, courier_id, transport_type)
    WHERE p.order_id IS NOT NULL AND p.courier_id IS NOT NULL
), delivered AS (
    INSERT INTO courier_orders (order_id, courier_id, deadline, waiting_since)
    SELECT p.order_id, p.courier_id, now() + t.delivery_time, p.known_since
    FROM pairs p
    JOIN unnest($2::text[], $3::interval[]) AS t(transport_type, delivery_time) USING (transport_type)
    ON CONFLICT DO NOTHING
    RETURNING order_id, courier_id, deadline
), assigned AS (
    UPDATE orders SET state = 'assigned', updated_at = now()
    WHERE order_id = ANY (ARRAY(SELECT order_id FROM delivered))
), busy AS (
    UPDATE couriers c SET status = 'busy', order_id = d.order_id, updated_at = now()
    FROM delivered d
    WHERE c.id = ANY (ARRAY(SELECT courier_id FROM delivered))
      AND c.id = d.courier_id
), journalled AS (
    INSERT INTO journal (order_id, what, courier_id, source, deadline)
    SELECT order_id, 'assigned', courier_id, 'match', deadline FROM delivered
)
SELECT order_id, courier_id, transport_type, deadline FROM delivered JOIN pairs USING (order_id, courier_id)
