-- The orders that wait, missing or not, each by its index, and the couriers who could
-- serve them.
SELECT w.count, w.oldest, c.count, c.free
FROM (SELECT count(*), coalesce(now() - min(created_at), '0') AS oldest FROM (
          SELECT created_at FROM orders WHERE state = 'waiting' AND missing_since IS NULL
          UNION ALL
          SELECT created_at FROM orders WHERE state = 'waiting' AND missing_since IS NOT NULL
      ) waiting) w,
     (SELECT count(*), count(*) FILTER (WHERE status = 'available') AS free FROM couriers) c
