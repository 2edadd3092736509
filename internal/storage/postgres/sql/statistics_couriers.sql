-- What each courier of a page did in a period.
SELECT c.id, coalesce(s.deliveries, 0), coalesce(s.late, 0), coalesce(s.delivery_time, 0),
       coalesce(s.waits, 0), coalesce(s.waiting_time, 0), coalesce(s.histogram, '0')
FROM (SELECT id FROM couriers WHERE id > $3 ORDER BY id LIMIT $4) c,
     LATERAL (
         SELECT sum(deliveries)::bigint AS deliveries, sum(late)::bigint AS late,
                extract(epoch FROM sum(delivery_time))::float8 AS delivery_time, sum(waits)::bigint AS waits,
                extract(epoch FROM sum(waiting_time))::float8 AS waiting_time, sum(histogram)::text AS histogram
         FROM courier_days d
         WHERE d.courier_id = c.id AND d.day BETWEEN $1 AND $2
     ) s
ORDER BY c.id
