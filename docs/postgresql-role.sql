-- The role with which an Intramuros node reads a hospital's PostgreSQL (13 or later):
-- it can log in, read one schema, and do nothing else. Run it as a superuser or as the
-- owner of the database and the schema, once for each schema that the node is to read:
--
--   psql -d omop -v role=intramuros -v database=omop -v schema=cdm -f postgresql-role.sql
--   psql -d omop -c '\password intramuros'
--
-- If you may not create roles, the script says what to ask a superuser for. If another role
-- loads the tables, add -v loader=etl. Otherwise the node cannot read the tables that this role
-- creates anew. To show the node less than a table, give it a view of your own instead.
-- A node refuses to start with a role that may write, read the server's files or run programs.

\set ON_ERROR_STOP on
\set QUIET on
SELECT rolsuper AS superuser, rolsuper OR rolcreaterole AS may_create,
    NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') AS missing
FROM pg_roles WHERE rolname = current_user \gset

\if :missing
\if :may_create
CREATE ROLE :"role" LOGIN NOINHERIT CONNECTION LIMIT 20;
\else
\warn 'You may not make roles. Ask a superuser to run this once and to give the role a password, then run the script again:'
\warn 'CREATE ROLE' :"role" 'LOGIN NOINHERIT CONNECTION LIMIT 20;'
\warn 'ALTER ROLE' :"role" 'SET default_transaction_read_only = on;'
\warn 'ALTER ROLE' :"role" 'SET statement_timeout = ''4h'';'
\quit
\endif
\endif

\if :superuser
ALTER ROLE :"role" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
\endif
-- From version 16 on, a role with CREATEROLE may change only the roles that it created.
SELECT :'superuser'::boolean OR :'may_create'::boolean AND (current_setting('server_version_num')::integer < 160000
    OR pg_has_role(current_user, :'role', 'MEMBER WITH ADMIN OPTION')) AS may_alter \gset
\if :may_alter
ALTER ROLE :"role" LOGIN NOINHERIT CONNECTION LIMIT 20;
ALTER ROLE :"role" SET default_transaction_read_only = on;
-- These limits are the last resort. The node sets narrower ones.
ALTER ROLE :"role" SET statement_timeout = '4h';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '10min';
-- A limit of what a query may write to disk while it sorts. A query that needs more fails.
-- ALTER ROLE :"role" SET temp_file_limit = '100GB'; -- by a superuser
\endif

GRANT CONNECT ON DATABASE :"database" TO :"role";
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
-- Tables that you create there later as the present user, and those of the loader:
ALTER DEFAULT PRIVILEGES IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";
\if :{?loader}
ALTER DEFAULT PRIVILEGES FOR ROLE :"loader" IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";
\endif

-- PostgreSQL lets every role call pg_sleep. The node never does, but a thief of its password could hold a connection
-- with it. Only a superuser can revoke it from PUBLIC. Then all roles of this database lose it that have no other
-- grant. GRANT EXECUTE ON FUNCTION pg_sleep(double precision) TO … gives it back to a role that needs it.
\if :superuser
REVOKE EXECUTE ON FUNCTION pg_sleep(double precision), pg_sleep_for(interval), pg_sleep_until(timestamp with time zone) FROM PUBLIC;
\else
\warn 'The role can still call pg_sleep, as all roles can; a superuser who runs this script takes that away. The node needs no such thing: see docs/engines.md.'
\endif

-- PostgreSQL also lets every role create temporary tables and large objects, and up to version 14 tables in the schema
-- public. The node creates none, and its transactions are read-only. -v strict=1 revokes these rights from PUBLIC, too.
-- Those on large objects only a superuser can revoke. First check that no other program of this database needs them.
\if :{?strict}
REVOKE TEMPORARY ON DATABASE :"database" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
\if :superuser
REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) FROM PUBLIC;
\endif
\endif

-- The result.
SELECT count(*) FILTER (WHERE has_schema_privilege(:'role', relnamespace, 'USAGE') AND has_table_privilege(:'role', oid, 'SELECT')) AS readable,
    count(*) AS tables
FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(:'schema')) AND relkind IN ('r', 'p', 'v', 'm', 'f') \gset
\echo The role :"role" can read :readable of the :tables tables and views of the schema :"schema".

-- Over the network, let the role in by TLS only. Put into pg_hba.conf, before other lines:
--   hostssl  omop  intramuros  192.0.2.20/32  scram-sha-256
