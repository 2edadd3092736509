-- The days of a period on which a courier completed deliveries. The key begins with the day,
-- so that each day is looked up.
SELECT day, deliveries::float8, overdue::float8, extract(epoch FROM delivery_time)::float8 AS delivery_time,
       waits::float8, extract(epoch FROM waiting_time)::float8 AS waiting_time, histogram::text AS histogram
FROM courier_statistics
WHERE courier_id = $1 AND day = ANY (ARRAY(SELECT generate_series($2::date, $3::date, '1 day')::date)) AND deliveries > 0
ORDER BY day
