-- Assigns the first orders of the waiting queue to the available couriers with the fewest
-- deliveries. Rows are locked in one step and paired in the next, since FOR UPDATE and
-- pairing cannot be combined; locked rows are skipped. Effects follow from what the
-- INSERT returns, so that one bad row does not stop the queue. The scalar subselects leave
-- out a row that would be refused again, which would otherwise be first for ever; they
-- remain index lookups in a table of any size. Changed rows are named by an array of keys,
-- so that even a plan made for empty tables finds them by the primary key.
WITH demand AS (
    -- Nothing is counted while no courier is available.
    SELECT count(*) AS waiting
    FROM (
        SELECT FROM orders WHERE state = 'waiting' AND missing_since IS NULL
        ORDER BY queue_position LIMIT CASE WHEN EXISTS (SELECT FROM couriers WHERE status = 'available') THEN $1 ELSE 0 END
    ) w
), supply AS (
    -- At most as many couriers as orders. ORDER BY makes the planner use couriers_free.
    SELECT count(*) AS available
    FROM (
        SELECT FROM couriers WHERE status = 'available'
        ORDER BY deliveries, free_since, id LIMIT (SELECT waiting FROM demand)
    ) a
), queue AS MATERIALIZED (
    SELECT o.order_id, o.created_at
    FROM orders o
    WHERE o.state = 'waiting'
      AND o.missing_since IS NULL
      AND (SELECT d.courier_id FROM courier_orders d WHERE d.order_id = o.order_id) IS NULL
      AND (SELECT c.id FROM couriers c WHERE c.order_id = o.order_id) IS NULL
    ORDER BY o.queue_position
    LIMIT (SELECT available FROM supply)
    FOR UPDATE OF o SKIP LOCKED
), free AS MATERIALIZED (
    SELECT c.id, c.transport_type
    FROM couriers c
    WHERE c.status = 'available'
      AND (SELECT d.order_id FROM courier_orders d WHERE d.courier_id = c.id AND d.completed_at IS NULL) IS NULL
    ORDER BY c.deliveries, c.free_since, c.id
    LIMIT (SELECT count(*) FROM queue)
    FOR UPDATE OF c SKIP LOCKED
), pairs AS (
    -- Paired as arrays, which have the order of their lists: for a join by number the planner,
    -- which does not know how many rows there are, may compare every order with every courier.
    SELECT p.*
    FROM unnest(ARRAY(SELECT order_id FROM queue), ARRAY(SELECT created_at FROM queue),
                ARRAY(SELECT id FROM free), ARRAY(SELECT transport_type FROM free)) AS p(order_id, known_since, courier_id, transport_type)
    WHERE p.order_id IS NOT NULL AND p.courier_id IS NOT NULL
), delivered AS (
    INSERT INTO courier_orders (order_id, courier_id, deadline, waiting_since)
    SELECT order_id, courier_id, now() + ($3::interval[])[array_position((SELECT $2::text[]::transport_type[]), transport_type)], known_since
    FROM pairs
    ON CONFLICT DO NOTHING
    RETURNING order_id, courier_id, deadline
), assigned AS (
    UPDATE orders o SET state = 'assigned', updated_at = now()
    FROM delivered d
    WHERE o.order_id = ANY (ARRAY(SELECT order_id FROM delivered))
      AND o.order_id = d.order_id
    RETURNING d.order_id, o.number, d.courier_id, d.deadline
), busy AS (
    UPDATE couriers c SET status = 'busy', order_id = d.order_id, updated_at = now()
    FROM delivered d
    WHERE c.id = ANY (ARRAY(SELECT courier_id FROM delivered))
      AND c.id = d.courier_id
    RETURNING d.order_id, d.courier_id, c.transport_type AS transport, d.deadline
), journalled AS (
    INSERT INTO journal (order_id, order_number, was, state, courier_id, source, deadline)
    SELECT order_id, number, 'waiting', 'assigned', courier_id, 'match', deadline FROM assigned
)
SELECT order_id, courier_id, transport, deadline FROM busy
