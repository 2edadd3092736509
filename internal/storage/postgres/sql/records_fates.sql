-- What became of records. A record that changed its order is the source of a row of the
-- order's timeline.
SELECT coalesce(j.state::text, '') AS applied, coalesce(d.id, 0) AS dead_letter_id, coalesce(o.state::text, '') AS state,
       coalesce(o.recheck_at, '0001-01-01Z') AS recheck_at, coalesce(o.recheck_reason::text, '') AS recheck_reason
FROM unnest($1::integer[], $2::bigint[], $3::text[]) WITH ORDINALITY AS r (partition, "offset", order_id, n)
LEFT JOIN orders o ON o.order_id = r.order_id COLLATE "C"
LEFT JOIN LATERAL (
    SELECT state FROM journal
    WHERE order_number = o.number AND journal.order_id = o.order_id AND source = r.partition || '@' || r."offset"
    ORDER BY id + 0 DESC LIMIT 1
) j ON true
LEFT JOIN LATERAL (
    SELECT id FROM dead_letters WHERE topic = $4 AND dead_letters.partition = r.partition AND dead_letters."offset" = r."offset" ORDER BY produced_at DESC LIMIT 1
) d ON true
ORDER BY r.n
