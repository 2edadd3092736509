-- Inserts orders that had no row when they were locked. A row that another batch inserted
-- meanwhile is not changed and not returned: the caller starts again. Queue positions
-- follow the order of arrival; rows are inserted by id.
WITH input AS MATERIALIZED (
    -- Rows in the order of the arrays.
    SELECT a.*, CASE WHEN a.state = 'waiting' THEN nextval('queue_positions') END AS queue_position
    FROM unnest($1::text[], $2::text[]::order_state[], $3::timestamptz[], $4::text[]::order_ending[], $5::bool[],
                $6::text[]::recheck_reason[], $7::int[], $8::int[], $9::text[], $10::float8[], $11::text[], $12::text[])
         AS a(order_id, state, created_at, hinted, missing,
              recheck_reason, recheck_count, recheck_failures, recheck_error, recheck_in, reason, source)
), inserted AS (
    INSERT INTO orders (order_id, state, order_created_at, queue_position, hinted, missing_since,
                        recheck_at, recheck_reason, recheck_count, recheck_failures, recheck_error, recheck_token)
    SELECT order_id, state, created_at, queue_position, hinted, CASE WHEN missing THEN now() END,
           now() + make_interval(secs => recheck_in * (0.9 + 0.2 * random())), recheck_reason,
           recheck_count, recheck_failures, recheck_error, CASE WHEN recheck_in IS NOT NULL THEN nextval('recheck_tokens') END
    FROM input
    ORDER BY order_id
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id, number, state
), journalled AS (
    INSERT INTO journal (order_id, order_number, state, source, reason)
    SELECT inserted.order_id, inserted.number, inserted.state, input.source, input.reason
    FROM inserted JOIN input USING (order_id)
    WHERE inserted.state <> 'seen'
)
SELECT order_id, ''::text AS "from", state AS "to", 0::bigint AS courier_id FROM inserted
