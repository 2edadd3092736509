-- Takes locked orders one step: the record, its delivery, its courier and the
-- journal in one statement. Everything follows from the rows that really moved
-- (RETURNING), never from what the caller expected. Each table's rows are named by
-- an array of keys, whatever is joined to them afterwards: so they are found by
-- the primary key also under a plan that was made when the tables were empty.
WITH input AS MATERIALIZED (
    SELECT a.*, CASE WHEN a.state = 'waiting' THEN nextval('order_places') END AS place
    FROM (
        SELECT *
        FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::bool[],
                    $6::text[], $7::int[], $8::int[], $9::text[], $10::float8[], $11::text[], $12::text[], $13::text[])
             WITH ORDINALITY AS t(order_id, state, created_at, hinted, missing,
                    look_reason, look_count, look_failures, look_error, look_in, reason, source, was, arrival)
        ORDER BY arrival
    ) a
), moved AS (
    UPDATE orders o
    SET state            = i.state,
        order_created_at = coalesce(o.order_created_at, i.created_at),
        place            = coalesce(o.place, i.place),
        held_reason      = CASE WHEN i.state = 'held' THEN coalesce(o.held_reason, i.reason) END,
        hinted           = i.hinted,
        missing_since    = CASE WHEN i.missing THEN coalesce(o.missing_since, now()) END,
        look_reason      = i.look_reason,
        look_count       = i.look_count,
        look_failures    = i.look_failures,
        look_error       = i.look_error,
        -- look_in: a new look gets its time and token; none leaves the pending one, if it stays
        look_due_at      = CASE WHEN i.look_in IS NOT NULL THEN now() + make_interval(secs => i.look_in * (0.9 + 0.2 * random()))
                                WHEN i.look_reason IS NOT NULL THEN o.look_due_at END,
        look_token       = CASE WHEN i.look_in IS NOT NULL THEN nextval('look_tokens')
                                WHEN i.look_reason IS NOT NULL THEN o.look_token END,
        updated_at       = now()
    FROM input i
    WHERE o.order_id = ANY ($1::text[])
      AND o.order_id = i.order_id
      AND o.state = i.was
    RETURNING o.order_id, i.was, o.state, i.source, i.reason
), completed AS (
    -- The coalesce says IS NULL in a way that no partial index answers to.
    UPDATE courier_orders
    SET completed_at = now()
    WHERE order_id = ANY (ARRAY(SELECT order_id FROM moved WHERE state = 'completed' AND was <> 'completed'))
      AND coalesce(completed_at, 'infinity') = 'infinity'
    RETURNING order_id, courier_id
), undone AS (
    DELETE FROM courier_orders
    WHERE order_id = ANY (ARRAY(SELECT order_id FROM moved WHERE state IN ('cancelled', 'held')))
    RETURNING order_id, courier_id, completed_at IS NOT NULL AS was_counted
), closed AS (
    SELECT order_id, courier_id, 1 AS counts FROM completed
    UNION ALL
    SELECT order_id, courier_id, CASE WHEN was_counted THEN -1 ELSE 0 END FROM undone
), tally AS (
    SELECT courier_id, sum(counts) AS counts, array_agg(order_id) AS order_ids
    FROM closed
    GROUP BY courier_id
), locked AS MATERIALIZED (
    SELECT id
    FROM couriers
    WHERE id = ANY (ARRAY(SELECT courier_id FROM tally))
    ORDER BY id
    FOR UPDATE
), freed AS (
    -- A courier is freed of that order, never by his id alone: he may have another by now.
    -- Who was told to pause after it does.
    UPDATE couriers c
    SET deliveries = c.deliveries + t.counts,
        status     = CASE WHEN c.order_id <> ALL (t.order_ids) OR c.order_id IS NULL THEN c.status
                          WHEN c.pause_after_delivery THEN 'paused' ELSE 'available' END,
        pause_after_delivery = c.pause_after_delivery AND c.order_id <> ALL (t.order_ids),
        free_since = CASE WHEN c.order_id = ANY (t.order_ids) THEN now() ELSE c.free_since END,
        order_id   = CASE WHEN c.order_id = ANY (t.order_ids) THEN NULL ELSE c.order_id END,
        updated_at = now()
    FROM tally t
    WHERE c.id = ANY (ARRAY(SELECT id FROM locked))
      AND c.id = t.courier_id
), told AS MATERIALIZED (
    -- moved LEFT JOIN closed, by sorting: the planner cannot know how long a batch
    -- is, takes it for short, and would compare every row with every other.
    SELECT order_id, max(was) AS was, max(state) AS state, max(courier_id) AS courier_id,
           max(source) AS source, max(reason) AS reason
    FROM (
        SELECT order_id, was, state, NULL::bigint AS courier_id, source, reason FROM moved
        UNION ALL
        SELECT order_id, NULL, NULL, courier_id, NULL, NULL FROM closed
    ) both_sides
    GROUP BY order_id
), journalled AS (
    INSERT INTO journal (order_id, what, courier_id, source, reason)
    SELECT order_id, state, courier_id, source, reason
    FROM told
    WHERE state <> was
)
SELECT order_id, was, state, coalesce(courier_id, 0) FROM told
