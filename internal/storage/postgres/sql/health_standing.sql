-- How the open orders stand: all, the missing ones, and those that only lack a courier.
SELECT count(*),
       count(missing_since),
       coalesce(now() - min(missing_since), '0'),
       count(*) FILTER (WHERE state = 'waiting' AND missing_since IS NULL),
       coalesce(now() - min(created_at) FILTER (WHERE state = 'waiting' AND missing_since IS NULL), '0')
FROM orders
WHERE state IN ('waiting', 'assigned', 'held')
