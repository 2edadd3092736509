-- The days of a period on which a courier completed deliveries.
SELECT day, deliveries::float8, overdue::float8, extract(epoch FROM delivery_time)::float8 AS delivery_time,
       waits::float8, extract(epoch FROM waiting_time)::float8 AS waiting_time, histogram::text AS histogram
FROM courier_statistics
WHERE courier_id = $1 AND day BETWEEN $2 AND $3 AND deliveries > 0
ORDER BY day
