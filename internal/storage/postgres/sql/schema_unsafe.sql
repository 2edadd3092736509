-- What an administrator has changed in the schema so that the service would miss rows without
-- an error, and the statement that changes it back.
WITH ours AS (
    SELECT c.oid, c.relname, c.relkind FROM pg_class v JOIN pg_class c USING (relnamespace)
    WHERE v.oid = to_regclass('service_courier_schema') AND c.relname = ANY ($1::text[] || '{journal_id_seq}')
)
SELECT format('row-level security hides rows of %I', relname) AS problem,
       format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', relname) AS fix
FROM ours WHERE relkind = 'r' AND row_security_active(oid)
UNION ALL -- each session would have numbers of its own, out of order
SELECT format('the sequence %I has CACHE %s', relname, seqcache), format('ALTER SEQUENCE %I CACHE 1', relname)
FROM ours JOIN pg_sequence ON seqrelid = oid
WHERE seqcache <> 1 AND relname IN ('journal_id_seq', 'queue_positions')
ORDER BY 1
