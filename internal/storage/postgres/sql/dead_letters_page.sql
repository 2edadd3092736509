-- Pending or handled dead letters between two ids, lowest first, with a preview of the
-- payload.
SELECT id, partition, "offset", created_at, reason, redrives, status, edited_at IS NOT NULL AS edited,
       coalesce(substring(current_payload FROM 1 FOR $6), '') AS preview, coalesce(octet_length(current_payload), 0) AS size
FROM (SELECT *, CASE WHEN edited_at IS NULL THEN payload ELSE edited_payload END AS current_payload FROM dead_letters) d
WHERE (status <> 'pending') = $1
  AND ($2 = '' OR reason::text = $2)
  AND id > $3 AND id <= $4
ORDER BY id
LIMIT $5
