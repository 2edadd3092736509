-- Violations in the statistics of one piece: number $2 of $1 pieces. All rows of a courier
-- or a day are in one piece, and so in one snapshot.
SELECT 'delivery counter of a courier differs from the statistics' AS invariant, c.id::text AS subject
FROM couriers c
-- Not compared with courier_orders, from which RETENTION removes deliveries; the statistics stay.
LEFT JOIN (SELECT courier_id, sum(deliveries) AS completed
           FROM (SELECT courier_id, deliveries FROM courier_statistics UNION ALL SELECT courier_id, sign FROM uncounted_deliveries) counted
           WHERE courier_id % $1::bigint = $2::bigint GROUP BY courier_id) s ON s.courier_id = c.id
WHERE c.id % $1::bigint = $2::bigint AND c.deliveries <> coalesce(s.completed, 0)
UNION ALL
SELECT 'statistics of a courier differ from the completed deliveries', courier_id || ' ' || day
FROM courier_statistics_diff
WHERE courier_id % $1::bigint = $2::bigint
UNION ALL
SELECT 'daily statistics differ from those of the couriers', day::text
FROM daily_statistics_diff
WHERE abs(day - date '2000-01-01') % $1::bigint = $2::bigint
