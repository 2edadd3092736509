-- The rights that the session's role lacks on the objects $1 of the schema.
WITH version_table AS (
    SELECT relnamespace AS namespace FROM pg_class WHERE oid = to_regclass('service_courier_schema')
), needed AS (
    SELECT relname::text AS name, needs, has_table_privilege(c.oid, needs) AS granted
    FROM version_table JOIN pg_class c ON relnamespace = namespace,
         unnest(CASE WHEN relkind = 'v' THEN '{SELECT}' ELSE '{SELECT,INSERT,UPDATE,DELETE}' END::text[]) needs
    WHERE relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT relname::text, 'USAGE', has_sequence_privilege(seqrelid, 'USAGE')
    FROM version_table JOIN pg_class c ON relnamespace = namespace JOIN pg_sequence ON seqrelid = c.oid
    UNION ALL
    SELECT proname::text, 'EXECUTE', has_function_privilege(p.oid, 'EXECUTE')
    FROM version_table JOIN pg_proc p ON pronamespace = namespace
)
SELECT needs || ' on ' || name FROM needed WHERE NOT granted AND name = ANY ($1::text[]) ORDER BY 1
