-- The role with which an Intramuros node reads a hospital's PostgreSQL (13 or later):
-- it can log in, read one schema, and do nothing else. Run it as a superuser or as the
-- owner of the database, once for each schema that the node is to read:
--
--   psql -d omop -v role=intramuros -v database=omop -v schema=cdm -f postgresql-role.sql
--   psql -d omop -c '\password intramuros'
--
-- Give it views of your own instead of tables where it should see less. A node refuses
-- to start with a role that may write, read the server's files or run programs.

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') AS missing;
\gset
\if :missing
CREATE ROLE :"role";
\endif

ALTER ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT CONNECTION LIMIT 20;
ALTER ROLE :"role" SET default_transaction_read_only = on;
-- Last resorts; the node sets narrower ones.
ALTER ROLE :"role" SET statement_timeout = '4h';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '10min';
-- What a query may write to disk while it sorts; a fragment that needs more fails.
-- ALTER ROLE :"role" SET temp_file_limit = '100GB'; -- by a superuser

GRANT CONNECT ON DATABASE :"database" TO :"role";
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
-- Tables that you create there later, as you are logged in now:
ALTER DEFAULT PRIVILEGES IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";

-- PostgreSQL lets every role sleep (pg_sleep). The node never does; but who steals its password could, and
-- hold a connection. Only a superuser can take this from PUBLIC, that is, from all roles of this database that no
-- other grant gives it to: GRANT EXECUTE ON FUNCTION pg_sleep(double precision) TO … gives it back to one that needs it.
SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user;
\gset
\if :superuser
REVOKE EXECUTE ON FUNCTION pg_sleep(double precision), pg_sleep_for(interval), pg_sleep_until(timestamp with time zone) FROM PUBLIC;
\else
\warn 'The role can still call pg_sleep, as all roles can: a superuser who runs this script takes that away.'
\endif

-- It also lets every role make temporary tables and large objects, and up to version 14 make tables in the
-- schema public. The node does none of it, and its transactions are read-only. With -v strict=1, as a superuser,
-- this is taken from PUBLIC, too: first see that no other program of this database needs it.
\if :{?strict}
REVOKE TEMPORARY ON DATABASE :"database" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) FROM PUBLIC;
\endif

-- Over the network, let it in by TLS only. In pg_hba.conf, before other lines:
--   hostssl  omop  intramuros  192.0.2.20/32  scram-sha-256
