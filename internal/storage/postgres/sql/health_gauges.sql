-- What the metrics show, in one row. The couriers are counted from end to end,
-- the rest by the index of what is meant.
SELECT c.available, c.busy, c.paused,
       (SELECT count(*) FROM orders WHERE state = 'held'),
       (SELECT count(*) FROM courier_orders WHERE completed_at IS NULL AND deadline < now() AND deadline > '-infinity'),
       l.missing, l.ahead, l.unknown_status, l.unavailable, l.due,
       d.waiting, d.oldest
FROM (SELECT count(*) FILTER (WHERE status = 'available') AS available,
             count(*) FILTER (WHERE status = 'busy') AS busy,
             count(*) FILTER (WHERE status = 'paused') AS paused
      FROM couriers) c,
     (SELECT count(*) FILTER (WHERE look_reason = 'missing') AS missing,
             count(*) FILTER (WHERE look_reason = 'ahead') AS ahead,
             count(*) FILTER (WHERE look_reason = 'unknown_status') AS unknown_status,
             count(*) FILTER (WHERE look_reason = 'unavailable') AS unavailable,
             count(*) FILTER (WHERE look_due_at < now()) AS due
      FROM orders WHERE look_due_at IS NOT NULL) l,
     (SELECT count(*) AS waiting, coalesce(now() - min(created_at), '0') AS oldest
      FROM dead_letters WHERE status = 'waiting') d
