-- The journal after a cursor, in the order (xid, id). Rows of transactions that
-- are not older than the oldest still running are left for later: one with a
-- lower xid could still commit before them.
SELECT j.xid, j.id, j.at, j.order_id, j.what, j.source, j.reason,
       coalesce(j.courier_id, 0), coalesce(c.name, ''), coalesce(c.transport_type, ''),
       coalesce(d.deadline, '0001-01-01Z'), coalesce(o.state, '')
FROM journal j
LEFT JOIN couriers c ON c.id = j.courier_id
LEFT JOIN courier_orders d ON j.what = 'assigned' AND d.order_id = j.order_id AND d.courier_id = j.courier_id
LEFT JOIN orders o ON o.order_id = j.order_id
WHERE (j.xid, j.id) > ($1::xid8, $2::bigint)
  AND j.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY j.xid, j.id
LIMIT $3
