-- The days of a period on which anybody delivered anything, each the sum of its slots.
SELECT day, sum(deliveries)::bigint, sum(late)::bigint, extract(epoch FROM sum(delivery_time))::float8,
       sum(waits)::bigint, extract(epoch FROM sum(waiting_time))::float8, sum(histogram)::text
FROM fleet_days
WHERE day BETWEEN $1 AND $2
GROUP BY day
HAVING sum(deliveries) > 0
ORDER BY day
