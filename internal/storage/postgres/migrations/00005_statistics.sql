-- +goose NO TRANSACTION

-- +goose Up

-- Every statement may be run again: an interrupted migration is simply repeated.
-- None holds a lock on courier_orders for longer than a moment; whoever waits for
-- one gives up early, so that nobody queues behind it for long.
SET lock_timeout = '5s';

-- Since when the order had been known when it was assigned; NULL when the version
-- before, which does not write it, assigned it.
ALTER TABLE courier_orders ADD COLUMN IF NOT EXISTS waiting_since timestamptz;

-- What was delivered, a row a courier and day (UTC), kept by the triggers below in
-- the transaction that completes or cancels. histogram is one number: bucket n of
-- the delivery times counts in units of 10^(9n), so that + and sum() add buckets.
CREATE TABLE IF NOT EXISTS courier_days (
    courier_id    bigint   NOT NULL,
    day           date     NOT NULL,
    deliveries    bigint   NOT NULL,
    late          bigint   NOT NULL,
    delivery_time interval NOT NULL,   -- in all, from assignment to completion
    waits         bigint   NOT NULL,   -- deliveries whose waiting time is known
    waiting_time  interval NOT NULL,   -- of those, in all
    histogram     numeric  NOT NULL,
    PRIMARY KEY (courier_id, day)
) WITH (fillfactor = 70);

-- The same of all couriers together. Sessions write to slots of their own, so that
-- no row is everybody's; a day is the sum of its slots, and only the sum means
-- anything: what one slot counted another may take back.
CREATE TABLE IF NOT EXISTS fleet_days (
    day           date     NOT NULL,
    slot          integer  NOT NULL,
    deliveries    bigint   NOT NULL,
    late          bigint   NOT NULL,
    delivery_time interval NOT NULL,
    waits         bigint   NOT NULL,
    waiting_time  interval NOT NULL,
    histogram     numeric  NOT NULL,
    PRIMARY KEY (day, slot)
) WITH (fillfactor = 50);

-- The histogram of one delivery. Bucket 0 ends at 10 s, each further one at 1.2
-- times the one before; the 40th is open.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION delivery_histogram(took interval) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('1e' || (9 * least(ceil(ln(greatest(date_part('epoch', took) / 10, 1)) / ln(1.2::float8)), 39)::integer)::text)::numeric;
-- +goose StatementEnd

-- What a change of courier_orders does to the statistics. "changed" are rows after
-- or before it; the argument says whether they come (1) or go (-1). A delivery is
-- deleted because its order is not completed any more, and then counts no more, or
-- because it is old, and then it still does.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION count_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := TG_ARGV[0];
BEGIN
    IF NOT EXISTS (SELECT FROM changed WHERE completed_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    WITH counted AS MATERIALIZED (
        SELECT c.courier_id,
               (c.completed_at AT TIME ZONE 'UTC')::date                       AS day,
               sign * count(*)                                                 AS deliveries,
               sign * count(*) FILTER (WHERE c.completed_at > c.deadline)      AS late,
               sign * sum(c.completed_at - c.assigned_at)                      AS delivery_time,
               sign * count(c.waiting_since)                                   AS waits,
               sign * coalesce(sum(c.assigned_at - c.waiting_since), '0')      AS waiting_time,
               sign * sum(delivery_histogram(c.completed_at - c.assigned_at))  AS histogram
        FROM changed c
        WHERE c.completed_at IS NOT NULL
          AND (TG_OP <> 'DELETE' OR EXISTS (SELECT FROM orders o WHERE o.order_id = c.order_id AND o.state <> 'completed'))
        GROUP BY 1, 2
    ), by_courier AS (
        INSERT INTO courier_days AS d (courier_id, day, deliveries, late, delivery_time, waits, waiting_time, histogram)
        SELECT * FROM counted
        ORDER BY courier_id, day
        ON CONFLICT (courier_id, day) DO UPDATE
        SET deliveries    = d.deliveries + excluded.deliveries,
            late          = d.late + excluded.late,
            delivery_time = d.delivery_time + excluded.delivery_time,
            waits         = d.waits + excluded.waits,
            waiting_time  = d.waiting_time + excluded.waiting_time,
            histogram     = d.histogram + excluded.histogram
    )
    INSERT INTO fleet_days AS d (day, slot, deliveries, late, delivery_time, waits, waiting_time, histogram)
    SELECT day, pg_backend_pid() % 16, sum(deliveries), sum(late), sum(delivery_time), sum(waits), sum(waiting_time), sum(histogram)
    FROM counted
    GROUP BY day
    ORDER BY day
    ON CONFLICT (day, slot) DO UPDATE
    SET deliveries    = d.deliveries + excluded.deliveries,
        late          = d.late + excluded.late,
        delivery_time = d.delivery_time + excluded.delivery_time,
        waits         = d.waits + excluded.waits,
        waiting_time  = d.waiting_time + excluded.waiting_time,
        histogram     = d.histogram + excluded.histogram;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE OR REPLACE TRIGGER courier_orders_inserted AFTER INSERT ON courier_orders
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_deliveries('1');
CREATE OR REPLACE TRIGGER courier_orders_updated_to AFTER UPDATE ON courier_orders
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_deliveries('1');
CREATE OR REPLACE TRIGGER courier_orders_updated_from AFTER UPDATE ON courier_orders
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_deliveries('-1');
CREATE OR REPLACE TRIGGER courier_orders_deleted AFTER DELETE ON courier_orders
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_deliveries('-1');

-- What the statistics of each courier and day lack beside a recount; no row when
-- they are right. Both sides are read in one snapshot, and change in the same
-- transactions: so what is lacking stays the same while others go on counting.
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

-- The same of the fleet beside its couriers.
CREATE OR REPLACE VIEW fleet_days_lack AS
SELECT day, sum(deliveries)::bigint AS deliveries, sum(late)::bigint AS late, sum(delivery_time) AS delivery_time,
       sum(waits)::bigint AS waits, sum(waiting_time) AS waiting_time, sum(histogram) AS histogram
FROM (
    SELECT day, deliveries, late, delivery_time, waits, waiting_time, histogram FROM courier_days
    UNION ALL
    SELECT day, -deliveries, -late, -delivery_time, -waits, -waiting_time, -histogram FROM fleet_days
) both_sides
GROUP BY day
HAVING sum(deliveries) <> 0 OR sum(late) <> 0 OR sum(delivery_time) <> '0'
    OR sum(waits) <> 0 OR sum(waiting_time) <> '0' OR sum(histogram) <> 0;

-- Adds what is lacking, beside the writers. Days go in by date: today's rows, for
-- which batches may wait, last.
-- +goose StatementBegin
CREATE OR REPLACE PROCEDURE mend_statistics() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO courier_days AS d (courier_id, day, deliveries, late, delivery_time, waits, waiting_time, histogram)
    SELECT courier_id, day, deliveries, late, delivery_time, waits, waiting_time, histogram
    FROM courier_days_lack
    ORDER BY day, courier_id
    ON CONFLICT (courier_id, day) DO UPDATE
    SET deliveries    = d.deliveries + excluded.deliveries,
        late          = d.late + excluded.late,
        delivery_time = d.delivery_time + excluded.delivery_time,
        waits         = d.waits + excluded.waits,
        waiting_time  = d.waiting_time + excluded.waiting_time,
        histogram     = d.histogram + excluded.histogram;
    COMMIT;
    INSERT INTO fleet_days AS d (day, slot, deliveries, late, delivery_time, waits, waiting_time, histogram)
    SELECT day, -1, deliveries, late, delivery_time, waits, waiting_time, histogram
    FROM fleet_days_lack
    ON CONFLICT (day, slot) DO UPDATE
    SET deliveries    = d.deliveries + excluded.deliveries,
        late          = d.late + excluded.late,
        delivery_time = d.delivery_time + excluded.delivery_time,
        waits         = d.waits + excluded.waits,
        waiting_time  = d.waiting_time + excluded.waiting_time,
        histogram     = d.histogram + excluded.histogram;
END $$;
-- +goose StatementEnd

-- The deliveries completed so far.
CALL mend_statistics();

RESET lock_timeout;

-- +goose Down
DROP TRIGGER courier_orders_deleted ON courier_orders;
DROP TRIGGER courier_orders_updated_from ON courier_orders;
DROP TRIGGER courier_orders_updated_to ON courier_orders;
DROP TRIGGER courier_orders_inserted ON courier_orders;
DROP PROCEDURE mend_statistics;
DROP VIEW fleet_days_lack;
DROP VIEW courier_days_lack;
DROP FUNCTION count_deliveries;
DROP FUNCTION delivery_histogram;
DROP TABLE fleet_days;
DROP TABLE courier_days;
ALTER TABLE courier_orders DROP COLUMN waiting_since;
