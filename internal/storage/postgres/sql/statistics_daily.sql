-- The days of a period on which deliveries were completed. float8 does not overflow, whatever
-- another program has written.
SELECT day, deliveries::float8, overdue::float8, extract(epoch FROM delivery_time)::float8 AS delivery_time,
       waits::float8, extract(epoch FROM waiting_time)::float8 AS waiting_time, histogram::text AS histogram
FROM daily_statistics
WHERE day BETWEEN $1 AND $2 AND deliveries > 0
ORDER BY day
