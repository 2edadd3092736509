-- Pending rechecks by reason.
SELECT recheck_reason::text AS reason, count(*) AS orders, count(*) FILTER (WHERE recheck_at < now()) AS due,
       max(recheck_count + recheck_failures) AS max_attempts, min(recheck_at) AS next
FROM orders
WHERE recheck_at IS NOT NULL
GROUP BY recheck_reason
ORDER BY 1
