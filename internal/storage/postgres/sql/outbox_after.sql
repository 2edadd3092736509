-- journal_after.sql with only what an event has: behind a backlog PostgreSQL reads the rows
-- in less than half of the time.
SELECT j.id, j.at, coalesce(j.order_id, '') AS order_id, coalesce(j.was::text, '') AS "from", coalesce(j.state::text, '') AS state, j.source, j.reason,
       coalesce(j.courier_change::text, '') AS courier_change, coalesce(j.courier_id, 0) AS courier_id, coalesce(c.transport_type::text, '') AS transport,
       coalesce(j.deadline, '0001-01-01Z') AS first_deadline
FROM journal j
LEFT JOIN couriers c ON c.id = j.courier_id
WHERE j.id > $1
ORDER BY j.id
LIMIT $2
