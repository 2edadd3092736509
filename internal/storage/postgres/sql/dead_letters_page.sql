-- The waiting or the handled letters between two ids, lowest first, without
-- their bytes but the first few.
SELECT id, partition, "offset", created_at, reason, redrives, status, edited_at IS NOT NULL,
       coalesce(substring(payload_now FROM 1 FOR $6), ''), coalesce(octet_length(payload_now), 0)
FROM (SELECT *, CASE WHEN edited_at IS NULL THEN payload ELSE edited_payload END AS payload_now FROM dead_letters) d
WHERE (status <> 'waiting') = $1
  AND ($2 = '' OR reason = $2)
  AND id > $3 AND id <= $4
ORDER BY id
LIMIT $5
