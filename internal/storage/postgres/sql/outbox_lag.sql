-- The transitions that are not published yet, and changes of couriers that the outbox has not
-- passed yet. They are counted, since a restore skips ids. Without a position there are none.
SELECT (SELECT count(*) FROM (SELECT FROM journal WHERE id > published_id LIMIT 1000000) unpublished) AS pending,
       coalesce((SELECT at FROM journal WHERE id > published_id ORDER BY id LIMIT 1), '0001-01-01Z') AS oldest_at
FROM (SELECT coalesce((SELECT published_id FROM outbox), 9223372036854775807) AS published_id) outbox_position
