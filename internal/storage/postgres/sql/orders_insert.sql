-- Makes the records of orders that had none when they were locked. A row that
-- another batch made meanwhile is left alone and not returned: the caller
-- starts again. Places in line follow the order of arrival; the rows go in by id.
WITH input AS MATERIALIZED (
    SELECT a.*, CASE WHEN a.state = 'waiting' THEN nextval('order_places') END AS place
    FROM (
        SELECT *
        FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::bool[],
                    $6::text[], $7::int[], $8::int[], $9::text[], $10::float8[], $11::text[], $12::text[])
             WITH ORDINALITY AS t(order_id, state, created_at, hinted, missing,
                    look_reason, look_count, look_failures, look_error, look_in, reason, source, arrival)
        ORDER BY arrival
    ) a
), made AS (
    INSERT INTO orders (order_id, state, order_created_at, place, hinted, missing_since,
                        look_due_at, look_reason, look_count, look_failures, look_error, look_token)
    SELECT order_id, state, created_at, place, hinted, CASE WHEN missing THEN now() END,
           now() + make_interval(secs => look_in * (0.9 + 0.2 * random())), look_reason,
           look_count, look_failures, look_error, CASE WHEN look_in IS NOT NULL THEN nextval('look_tokens') END
    FROM input
    ORDER BY order_id
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id, state
), journalled AS (
    INSERT INTO journal (order_id, what, source, reason)
    SELECT made.order_id, made.state, input.source, input.reason
    FROM made JOIN input USING (order_id)
    WHERE made.state <> 'seen'
)
SELECT order_id, state FROM made
