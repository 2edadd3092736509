-- The days of a period on which deliveries were completed, each the sum of its slots. Sums of
-- float8 do not overflow, whatever another program has written.
SELECT day, sum(deliveries)::float8 AS deliveries, sum(overdue)::float8 AS overdue,
       sum(date_part('epoch', delivery_time)) AS delivery_time, sum(waits)::float8 AS waits,
       sum(date_part('epoch', waiting_time)) AS waiting_time, sum(histogram)::text AS histogram
FROM daily_statistics
WHERE day BETWEEN $1 AND $2
GROUP BY day
HAVING sum(deliveries) > 0
ORDER BY day
