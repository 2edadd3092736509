-- The gauges of the metrics, in one row. It reads all couriers; for everything else there is
-- a partial index.
SELECT c.available, c.busy, c.paused,
       (SELECT count(*) FROM orders WHERE state = 'held') AS held,
       (SELECT count(*) FROM courier_orders WHERE completed_at IS NULL AND deadline < now() AND deadline >= '-infinity') AS overdue,
       r.missing, r.ahead, r.unknown_status, r.unavailable, r.due AS rechecks_due,
       d.pending AS dead_letters_pending, d.oldest AS oldest_dead_letter
FROM (SELECT count(*) FILTER (WHERE status = 'available') AS available,
             count(*) FILTER (WHERE status = 'busy') AS busy,
             count(*) FILTER (WHERE status = 'paused' AND deleted_at IS NULL) AS paused
      FROM couriers) c,
     (SELECT count(*) FILTER (WHERE recheck_reason = 'missing') AS missing,
             count(*) FILTER (WHERE recheck_reason = 'ahead') AS ahead,
             count(*) FILTER (WHERE recheck_reason = 'unknown_status') AS unknown_status,
             count(*) FILTER (WHERE recheck_reason = 'unavailable') AS unavailable,
             count(*) FILTER (WHERE recheck_at < now()) AS due
      FROM orders WHERE recheck_at IS NOT NULL) r,
     (SELECT count(*) AS pending, coalesce(elapsed(min(created_at), now()), '0') AS oldest
      FROM dead_letters WHERE status = 'pending') d
