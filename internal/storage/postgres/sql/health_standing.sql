-- How the open orders stand: the missing ones, all of them where any is missing, and
-- the line. Each is read by the index of what is meant: it is asked every few seconds,
-- and orders under way may be many.
SELECT CASE WHEN m.missing > 0 THEN (SELECT count(*) FROM orders WHERE state IN ('waiting', 'assigned', 'held') AND order_id > '' /* as the index says it */) ELSE 0 END,
       m.missing,
       coalesce(now() - m.oldest, '0'),
       (SELECT count(*) FROM orders WHERE state = 'waiting' AND missing_since IS NULL),
       coalesce(now() - (SELECT created_at FROM orders WHERE state = 'waiting' AND missing_since IS NULL ORDER BY place LIMIT 1), '0')
FROM (SELECT count(*) AS missing, min(missing_since) AS oldest
      FROM orders WHERE missing_since IS NOT NULL AND state IN ('waiting', 'assigned', 'held')) m
