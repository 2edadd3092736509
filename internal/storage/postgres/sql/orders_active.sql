-- A page of the active orders, most urgent first. Each of the four sections is read through the
-- index of its own list. $1 is the section of the last order of the page before, $2 or $3 its
-- key in it, $4 its id: earlier sections are skipped, later ones begin with their first order.
-- The index of deadlines has no order ids, and the orders of one match have the same deadline.
-- WITH TIES avoids a sort by id, for which the planner would read all open deliveries when it
-- expects few.
SELECT {columns}, concat(section, ' ', at, position) AS page_key
FROM (
    (SELECT 1 AS section, order_id, deadline AS at, NULL::bigint AS position
     FROM courier_orders
     WHERE completed_at IS NULL AND deadline >= '-infinity' AND deadline < now() AND $1::int <= 1
       AND (deadline, order_id) > (CASE $1 WHEN 1 THEN $2::timestamptz ELSE '-infinity' END, CASE $1 WHEN 1 THEN $4 ELSE '' END)
     ORDER BY deadline FETCH FIRST ($5) ROWS WITH TIES)
    UNION ALL
    (SELECT 2, order_id, updated_at, NULL
     FROM orders
     WHERE state = 'held' AND $1 <= 2
       AND (updated_at, order_id) > (CASE $1 WHEN 2 THEN $2 ELSE '-infinity' END, CASE $1 WHEN 2 THEN $4 ELSE '' END)
     ORDER BY updated_at, order_id LIMIT $5)
    UNION ALL
    (SELECT 3, order_id, NULL, queue_position
     FROM orders
     WHERE state = 'waiting' AND missing_since IS NULL AND $1 <= 3
       AND queue_position > CASE $1 WHEN 3 THEN $3 ELSE '-9223372036854775808'::bigint END
     ORDER BY queue_position LIMIT $5)
    UNION ALL
    (SELECT 3, order_id, NULL, queue_position
     FROM orders
     WHERE state = 'waiting' AND missing_since IS NOT NULL AND $1 <= 3
       AND queue_position > CASE $1 WHEN 3 THEN $3 ELSE '-9223372036854775808'::bigint END
     ORDER BY queue_position LIMIT $5)
    UNION ALL
    (SELECT 4, order_id, deadline, NULL
     FROM courier_orders
     WHERE completed_at IS NULL AND deadline >= '-infinity' AND deadline >= now() AND $1 <= 4
       AND (deadline, order_id) > (CASE $1 WHEN 4 THEN $2 ELSE '-infinity' END, CASE $1 WHEN 4 THEN $4 ELSE '' END)
     ORDER BY deadline FETCH FIRST ($5) ROWS WITH TIES)
    ORDER BY section, at, position, order_id
    LIMIT $5
) page JOIN orders o USING (order_id) LEFT JOIN courier_orders d USING (order_id)
ORDER BY section, at, position, o.order_id
