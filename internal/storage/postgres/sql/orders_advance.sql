-- Moves locked orders one step: the order, its delivery, its courier and the journal in
-- one statement. All effects follow from the rows that really moved (RETURNING), never from
-- what the caller expected. Changed rows are named by an array of keys, so that even a plan
-- made for empty tables finds them by the primary key.
WITH input AS MATERIALIZED (
    -- Rows in the order of the arrays.
    SELECT a.*, CASE WHEN a.state = 'waiting' THEN nextval('queue_positions') END AS queue_position
    FROM unnest($1::text[], $2::text[]::order_state[], $3::timestamptz[], $4::text[]::order_ending[], $5::bool[],
                $6::text[]::recheck_reason[], $7::int[], $8::int[], $9::text[], $10::float8[], $11::text[], $12::text[], $13::text[]::order_state[])
         AS a(order_id, state, created_at, hinted, missing,
              recheck_reason, recheck_count, recheck_failures, recheck_error, recheck_in, reason, source, was)
), moved AS (
    UPDATE orders o
    SET state            = i.state,
        order_created_at = coalesce(o.order_created_at, i.created_at),
        queue_position   = coalesce(o.queue_position, i.queue_position),
        held_reason      = CASE WHEN i.state = 'held' THEN coalesce(o.held_reason, i.reason) END,
        hinted           = i.hinted,
        missing_since    = CASE WHEN i.missing THEN coalesce(o.missing_since, now()) END,
        recheck_reason   = i.recheck_reason,
        recheck_count    = i.recheck_count,
        recheck_failures = i.recheck_failures,
        recheck_error    = i.recheck_error,
        -- With recheck_in the recheck gets a new time and token; without it a pending one stays.
        recheck_at       = CASE WHEN i.recheck_in IS NOT NULL THEN now() + make_interval(secs => i.recheck_in * (0.9 + 0.2 * random()))
                                WHEN i.recheck_reason IS NOT NULL THEN o.recheck_at END,
        recheck_token    = CASE WHEN i.recheck_in IS NOT NULL THEN nextval('recheck_tokens')
                                WHEN i.recheck_reason IS NOT NULL THEN o.recheck_token END,
        updated_at       = now()
    FROM input i
    WHERE o.order_id = ANY ($1::text[])
      AND o.order_id = i.order_id
      AND o.state = i.was
    RETURNING o.order_id, o.number, i.was, o.state, i.source, i.reason
), completed AS (
    -- coalesce() instead of IS NULL, so that no partial index matches.
    UPDATE courier_orders
    -- The assignment may have committed after this transaction began.
    SET completed_at = greatest(now(), least(assigned_at, clock_timestamp()))
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
    -- A courier is freed of that order, never by courier id alone: by now the courier may
    -- have another order.
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
), saved AS MATERIALIZED (
    -- moved LEFT JOIN closed, as a GROUP BY: the planner does not know how long a batch is,
    -- and would compare every row with every other.
    SELECT order_id, max(number) AS number, max(was) AS was, max(state) AS state, max(courier_id) AS courier_id,
           max(source) AS source, max(reason) AS reason
    FROM (
        SELECT order_id, number, was, state, NULL::bigint AS courier_id, source, reason FROM moved
        UNION ALL
        SELECT order_id, NULL, NULL, NULL, courier_id, NULL, NULL FROM closed
    ) both_sides
    GROUP BY order_id
), journalled AS (
    INSERT INTO journal (order_id, order_number, was, state, courier_id, source, reason)
    SELECT order_id, number, was, state, courier_id, source, reason
    FROM saved
    WHERE state <> was
)
SELECT order_id, was AS "from", state AS "to", coalesce(courier_id, 0) AS courier_id FROM saved
