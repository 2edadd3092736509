-- The days of a period on which a courier delivered anything.
SELECT day, deliveries, late, extract(epoch FROM delivery_time)::float8,
       waits, extract(epoch FROM waiting_time)::float8, histogram::text
FROM courier_days
WHERE courier_id = $1 AND day BETWEEN $2 AND $3 AND deliveries > 0
ORDER BY day
