-- +goose Up

-- Until when deliveries were removed for their age (RETENTION): those completed
-- earlier are not sure to be here. No row: none was ever removed.
CREATE TABLE retention (
    only_row      boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    removed_until timestamptz NOT NULL
);

-- As before, but a day of which deliveries were removed cannot be recounted: what
-- was counted of it stays as it is, in the check and in mend_statistics().
CREATE OR REPLACE VIEW courier_days_lack AS
SELECT courier_id, day, sum(deliveries)::bigint AS deliveries, sum(late)::bigint AS late, sum(delivery_time) AS delivery_time,
       sum(waits)::bigint AS waits, sum(waiting_time) AS waiting_time, sum(histogram) AS histogram
FROM (
    SELECT courier_id, (completed_at AT TIME ZONE 'UTC')::date AS day, 1 AS deliveries, (completed_at > deadline)::int AS late,
           completed_at - assigned_at AS delivery_time, (waiting_since IS NOT NULL)::int AS waits,
           coalesce(assigned_at - waiting_since, '0') AS waiting_time, delivery_histogram(completed_at - assigned_at) AS histogram
    FROM courier_orders
    WHERE completed_at IS NOT NULL
    UNION ALL
    SELECT courier_id, day, -deliveries, -late, -delivery_time, -waits, -waiting_time, -histogram
    FROM courier_days
) both_sides
WHERE day > coalesce((SELECT (removed_until AT TIME ZONE 'UTC')::date FROM retention), '-infinity')
GROUP BY courier_id, day
HAVING sum(deliveries) <> 0 OR sum(late) <> 0 OR sum(delivery_time) <> '0'
    OR sum(waits) <> 0 OR sum(waiting_time) <> '0' OR sum(histogram) <> 0;

-- +goose Down
CREATE OR REPLACE VIEW courier_days_lack AS
SELECT courier_id, day, sum(deliveries)::bigint AS deliveries, sum(late)::bigint AS late, sum(delivery_time) AS delivery_time,
       sum(waits)::bigint AS waits, sum(waiting_time) AS waiting_time, sum(histogram) AS histogram
FROM (
    SELECT courier_id, (completed_at AT TIME ZONE 'UTC')::date AS day, 1 AS deliveries, (completed_at > deadline)::int AS late,
           completed_at - assigned_at AS delivery_time, (waiting_since IS NOT NULL)::int AS waits,
           coalesce(assigned_at - waiting_since, '0') AS waiting_time, delivery_histogram(completed_at - assigned_at) AS histogram
    FROM courier_orders
    WHERE completed_at IS NOT NULL
    UNION ALL
    SELECT courier_id, day, -deliveries, -late, -delivery_time, -waits, -waiting_time, -histogram
    FROM courier_days
) both_sides
GROUP BY courier_id, day
HAVING sum(deliveries) <> 0 OR sum(late) <> 0 OR sum(delivery_time) <> '0'
    OR sum(waits) <> 0 OR sum(waiting_time) <> '0' OR sum(histogram) <> 0;
DROP TABLE retention;
