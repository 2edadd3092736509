-- The figures of each courier of a page in a period.
SELECT c.id AS courier_id, c.name AS courier_name, coalesce(s.deliveries, 0) AS deliveries, coalesce(s.overdue, 0) AS overdue,
       coalesce(s.delivery_time, 0) AS delivery_time, coalesce(s.waits, 0) AS waits,
       coalesce(s.waiting_time, 0) AS waiting_time, coalesce(s.histogram, '0') AS histogram
FROM (SELECT id, name FROM couriers WHERE id > $3 ORDER BY id LIMIT $4) c,
     LATERAL (
         SELECT sum(deliveries)::float8 AS deliveries, sum(overdue)::float8 AS overdue,
                sum(date_part('epoch', delivery_time)) AS delivery_time, sum(waits)::float8 AS waits,
                sum(date_part('epoch', waiting_time)) AS waiting_time, sum(histogram)::text AS histogram
         FROM courier_statistics d
         WHERE d.courier_id = c.id AND d.day = ANY (ARRAY(SELECT generate_series($1::date, $2::date, '1 day')::date))
     ) s
ORDER BY c.id
