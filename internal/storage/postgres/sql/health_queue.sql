-- The waiting orders, the orders on hold, and the couriers for them. Missing orders and the others are read
-- apart, since each have their own index.
SELECT w.count, w.oldest, w.missing, c.count, c.available, (SELECT count(*) FROM orders WHERE state = 'held')
FROM (SELECT count(*), count(*) FILTER (WHERE missing) AS missing, coalesce(elapsed(min(created_at) FILTER (WHERE NOT missing), now()), '0') AS oldest FROM (
          SELECT created_at, false AS missing FROM orders WHERE state = 'waiting' AND missing_since IS NULL
          UNION ALL
          SELECT created_at, true FROM orders WHERE state = 'waiting' AND missing_since IS NOT NULL
      ) waiting) w,
     (SELECT count(*) FILTER (WHERE deleted_at IS NULL), count(*) FILTER (WHERE status = 'available') AS available FROM couriers) c
