-- The waiting line, and the couriers who could shorten it.
SELECT w.count, w.oldest, c.count, c.free
FROM (SELECT count(*), coalesce(now() - min(created_at), '0') AS oldest FROM orders WHERE state = 'waiting') w,
     (SELECT count(*), count(*) FILTER (WHERE status = 'available') AS free FROM couriers) c
