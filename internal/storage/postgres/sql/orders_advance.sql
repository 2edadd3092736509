-- Moves locked orders one step, and appends to the journal, with the courier whose delivery
-- the next statements of the transaction end (deliveries_complete.sql, deliveries_delete.sql).
-- All effects follow from the rows that really moved (RETURNING), never from what the caller
-- expected. Changed rows are named by an array of keys, so that even a plan made for empty
-- tables finds them by the primary key.
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
    RETURNING o.order_id, o.number, i.was, o.state, i.source, i.reason,
              -- coalesce() instead of IS NULL, so that no partial index matches.
              CASE WHEN i.state IN ('completed', 'cancelled', 'held') THEN (
                  SELECT d.courier_id FROM courier_orders d
                  WHERE d.order_id = o.order_id AND (i.state <> 'completed' OR coalesce(d.completed_at, 'infinity') = 'infinity')
              ) END AS courier_id
), journalled AS (
    INSERT INTO journal (order_id, order_number, was, state, courier_id, source, reason)
    SELECT order_id, number, was, state, courier_id, source, reason
    FROM moved
    WHERE state <> was
)
SELECT order_id, was AS "from", state AS "to", coalesce(courier_id, 0) AS courier_id FROM moved
