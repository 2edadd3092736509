-- The transitions that are not published yet, of the next million rows. They are counted, since
-- a restore skips ids; changes of couriers are not published. Without a position there are none.
SELECT count(order_id) AS pending, coalesce(min(at) FILTER (WHERE order_id IS NOT NULL), '0001-01-01Z') AS oldest_at
FROM (SELECT order_id, at FROM journal
      WHERE id > coalesce((SELECT published_id FROM outbox), 9223372036854775807) ORDER BY id LIMIT 1000000) unpublished
