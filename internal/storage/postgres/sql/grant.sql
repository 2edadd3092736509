-- What {role} needs to run the service: the rows of the schema that the
-- migrations made, and of what later migrations of the same owner will make. No
-- DDL. It may be repeated.
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {role};
-- Which migrations are applied is for their owner to say.
REVOKE INSERT, UPDATE, DELETE ON goose_db_version FROM {role};
