-- Returns the statements that give role $1 what the service needs: the objects of the
-- schema's owner, and those that later migrations create. No DDL. They may be repeated.
-- Nothing relies on the rights of PUBLIC, which an administrator may have revoked.
WITH version_table AS (
    SELECT relowner AS owner, relnamespace AS namespace FROM pg_class WHERE oid = to_regclass('service_courier_schema')
), names AS (
    SELECT owner, namespace, quote_ident($1::text) AS role, namespace::regnamespace AS schema, owner::regrole AS owner_name FROM version_table
)
SELECT format('GRANT USAGE ON SCHEMA %s TO %s', schema, role) FROM names
UNION ALL
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s', c.oid::regclass, role)
FROM names JOIN pg_class c ON relnamespace = namespace AND relowner = owner WHERE relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT format('GRANT USAGE ON SEQUENCE %s TO %s', c.oid::regclass, role)
FROM names JOIN pg_class c ON relnamespace = namespace AND relowner = owner WHERE relkind = 'S'
UNION ALL
SELECT format('GRANT EXECUTE ON ROUTINE %s TO %s', p.oid::regprocedure, role)
FROM names JOIN pg_proc p ON pronamespace = namespace AND proowner = owner
UNION ALL
SELECT format('GRANT USAGE ON TYPE %s TO %s', t.oid::regtype, role)
FROM names JOIN pg_type t ON typnamespace = namespace AND typowner = owner WHERE typtype IN ('e', 'd')
UNION ALL
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s GRANT %s TO %s', owner_name, schema, rights, role)
FROM names, unnest(ARRAY[
    'SELECT, INSERT, UPDATE, DELETE ON TABLES', 'USAGE ON SEQUENCES', 'EXECUTE ON ROUTINES', 'USAGE ON TYPES']) rights
UNION ALL -- only the owner applies migrations
SELECT format('REVOKE INSERT, UPDATE, DELETE ON %s.service_courier_schema FROM %s', schema, role) FROM names
