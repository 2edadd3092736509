-- The objects of PostgreSQL itself that the service uses and the session's role may not, and
-- the statement that grants it. PUBLIC has these rights unless an administrator revoked them.
SELECT oid::regprocedure::text AS name, format('GRANT EXECUTE ON FUNCTION %s TO %I', oid::regprocedure, current_user) AS fix
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND NOT has_function_privilege(oid, 'EXECUTE')
    AND proname IN ('pg_control_system', 'pg_current_wal_lsn', 'pg_walfile_name', 'pg_relation_filenode',
                    'pg_relation_size', 'pg_sequence_last_value', 'pg_lock_status')
UNION ALL
SELECT relname::text, format('GRANT SELECT ON %I TO %I', relname, current_user)
FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND NOT has_table_privilege(oid, 'SELECT')
    AND relname IN ('pg_locks', 'pg_sequence', 'pg_database', 'pg_index', 'pg_stat_activity')
ORDER BY 1
