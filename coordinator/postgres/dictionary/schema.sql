-- The part of PostgreSQL's system catalogs that clients read. UINTEGER stands for oid, USMALLINT[] for int2vector and
-- UBIGINT[] for oidvector. PostgreSQL writes these vectors in another way than arrays.

CREATE SCHEMA pgc;
CREATE SCHEMA isc;
-- The federation's tables without rows. They answer clients that ask only for the columns of a query about patients.
CREATE SCHEMA columns_only;

-- The name of the asking user's database. It is set for each question.
CREATE MACRO pgc.here() AS CAST(getvariable('here') AS VARCHAR);
-- The name of the asking user.
CREATE MACRO pgc.whom() AS CAST(getvariable('whom') AS VARCHAR);

CREATE TABLE pgc.pg_namespace(oid UINTEGER, nspname VARCHAR, nspowner UINTEGER, nspacl VARCHAR[]);
INSERT INTO pgc.pg_namespace VALUES (11, 'pg_catalog', 10, NULL), (2200, 'public', 10, NULL), (13000, 'information_schema', 10, NULL);

CREATE TABLE pgc.pg_class(
  oid UINTEGER, relname VARCHAR, relnamespace UINTEGER, reltype UINTEGER, reloftype UINTEGER, relowner UINTEGER, relam UINTEGER, relfilenode UINTEGER, reltablespace UINTEGER, relpages INTEGER,
  reltuples FLOAT, relallvisible INTEGER, reltoastrelid UINTEGER, relhasindex BOOLEAN, relisshared BOOLEAN, relpersistence VARCHAR, relkind VARCHAR, relnatts SMALLINT,
  relchecks SMALLINT, relhasrules BOOLEAN, relhastriggers BOOLEAN, relhassubclass BOOLEAN, relrowsecurity BOOLEAN, relforcerowsecurity BOOLEAN,
  relispopulated BOOLEAN, relreplident VARCHAR, relispartition BOOLEAN, relrewrite UINTEGER, relfrozenxid UINTEGER, relminmxid UINTEGER, relacl VARCHAR[], reloptions VARCHAR[],
  relpartbound VARCHAR, relhasoids BOOLEAN);

CREATE TABLE pgc.pg_attribute(
  attrelid UINTEGER, attname VARCHAR, atttypid UINTEGER, attstattarget INTEGER, attlen SMALLINT, attnum SMALLINT, attndims INTEGER, attcacheoff INTEGER, atttypmod INTEGER,
  attbyval BOOLEAN, attalign VARCHAR, attstorage VARCHAR, attcompression VARCHAR, attnotnull BOOLEAN, atthasdef BOOLEAN, atthasmissing BOOLEAN, attidentity VARCHAR,
  attgenerated VARCHAR, attisdropped BOOLEAN, attislocal BOOLEAN, attinhcount INTEGER, attcollation UINTEGER, attacl VARCHAR[], attoptions VARCHAR[], attfdwoptions VARCHAR[],
  attmissingval VARCHAR[]);

CREATE TABLE pgc.pg_type(
  oid UINTEGER, typname VARCHAR, typnamespace UINTEGER, typowner UINTEGER, typlen SMALLINT, typbyval BOOLEAN, typtype VARCHAR, typcategory VARCHAR, typispreferred BOOLEAN,
  typisdefined BOOLEAN, typdelim VARCHAR, typrelid UINTEGER, typsubscript VARCHAR, typelem UINTEGER, typarray UINTEGER, typinput VARCHAR, typoutput VARCHAR, typreceive VARCHAR, typsend VARCHAR,
  typmodin VARCHAR, typmodout VARCHAR, typanalyze VARCHAR, typalign VARCHAR, typstorage VARCHAR, typnotnull BOOLEAN, typbasetype UINTEGER, typtypmod INTEGER, typndims INTEGER,
  typcollation UINTEGER, typdefaultbin VARCHAR, typdefault VARCHAR, typacl VARCHAR[]);
INSERT INTO pgc.pg_type
  SELECT oid, name, 11, 10, len, len BETWEEN 1 AND 8, 'b', category, preferred, true, ',', 0, '-', 0, arr, io || 'in', io || 'out', io || 'recv', io || 'send',
    '-', '-', '-', CASE WHEN len = 8 THEN 'd' ELSE 'i' END, CASE WHEN len < 0 THEN 'x' ELSE 'p' END, false, 0, -1, 0, CASE WHEN category = 'S' THEN 100 ELSE 0 END, NULL, NULL, NULL
  FROM (SELECT *, name || CASE WHEN name IN ('date', 'timestamp', 'timestamptz', 'numeric', 'json', 'jsonb', 'uuid', 'interval', 'time') THEN '_' ELSE '' END AS io FROM (VALUES (16, 'bool', 1, 'B', true, 1000), (17, 'bytea', -1, 'U', false, 1001), (18, 'char', 1, 'Z', false, 1002), (19, 'name', 64, 'S', false, 1003),
    (20, 'int8', 8, 'N', false, 1016), (21, 'int2', 2, 'N', false, 1005), (23, 'int4', 4, 'N', false, 1007), (24, 'regproc', 4, 'N', false, 1008),
    (25, 'text', -1, 'S', true, 1009), (26, 'oid', 4, 'N', true, 1028), (700, 'float4', 4, 'N', false, 1021), (701, 'float8', 8, 'N', true, 1022),
    (1042, 'bpchar', -1, 'S', false, 1014), (1043, 'varchar', -1, 'S', false, 1015), (1082, 'date', 4, 'D', false, 1182), (1114, 'timestamp', 8, 'D', false, 1115),
    (1184, 'timestamptz', 8, 'D', true, 1185), (1700, 'numeric', -1, 'N', false, 1231), (22, 'int2vector', -1, 'A', false, 1006), (30, 'oidvector', -1, 'A', false, 1013), (114, 'json', -1, 'U', false, 199),
    (2205, 'regclass', 4, 'N', false, 2210), (2206, 'regtype', 4, 'N', false, 2211))
    AS t(oid, name, len, category, preferred, arr));
INSERT INTO pgc.pg_type
  SELECT typarray, '_' || typname, 11, 10, -1, false, 'b', 'A', false, true, ',', 0, 'array_subscript_handler', oid, 0, 'array_in', 'array_out', 'array_recv', 'array_send',
    '-', '-', '-', 'i', 'x', false, 0, -1, 0, typcollation, NULL, NULL, NULL FROM pgc.pg_type WHERE typarray > 0;

CREATE TABLE pgc.pg_constraint(
  oid UINTEGER, conname VARCHAR, connamespace UINTEGER, contype VARCHAR, condeferrable BOOLEAN, condeferred BOOLEAN, convalidated BOOLEAN, conrelid UINTEGER, contypid UINTEGER, conindid UINTEGER,
  conparentid UINTEGER, confrelid UINTEGER, confupdtype VARCHAR, confdeltype VARCHAR, confmatchtype VARCHAR, conislocal BOOLEAN, coninhcount INTEGER, connoinherit BOOLEAN,
  conkey SMALLINT[], confkey SMALLINT[], conpfeqop UINTEGER[], conppeqop UINTEGER[], conffeqop UINTEGER[], confdelsetcols SMALLINT[], conexclop UINTEGER[], conbin VARCHAR, consrc VARCHAR, definition VARCHAR);

CREATE TABLE pgc.pg_index(
  indexrelid UINTEGER, indrelid UINTEGER, indnatts SMALLINT, indnkeyatts SMALLINT, indisunique BOOLEAN, indnullsnotdistinct BOOLEAN, indisprimary BOOLEAN, indisexclusion BOOLEAN,
  indimmediate BOOLEAN, indisclustered BOOLEAN, indisvalid BOOLEAN, indcheckxmin BOOLEAN, indisready BOOLEAN, indislive BOOLEAN, indisreplident BOOLEAN,
  indkey USMALLINT[], indcollation UBIGINT[], indclass UBIGINT[], indoption USMALLINT[], indexprs VARCHAR, indpred VARCHAR, definition VARCHAR);

CREATE TABLE pgc.pg_description(objoid UINTEGER, classoid UINTEGER, objsubid INTEGER, description VARCHAR);
CREATE TABLE pgc.pg_shdescription(objoid UINTEGER, classoid UINTEGER, description VARCHAR);
CREATE TABLE pgc.pg_attrdef(oid UINTEGER, adrelid UINTEGER, adnum SMALLINT, adbin VARCHAR, adsrc VARCHAR);
CREATE TABLE pgc.pg_am(oid UINTEGER, amname VARCHAR, amhandler VARCHAR, amtype VARCHAR);
INSERT INTO pgc.pg_am VALUES (2, 'heap', 'heap_tableam_handler', 't'), (403, 'btree', 'bthandler', 'i');
CREATE TABLE pgc.pg_collation(oid UINTEGER, collname VARCHAR, collnamespace UINTEGER, collowner UINTEGER, collprovider VARCHAR, collisdeterministic BOOLEAN, collencoding INTEGER, collcollate VARCHAR, collctype VARCHAR, colliculocale VARCHAR, collversion VARCHAR);
INSERT INTO pgc.pg_collation VALUES (100, 'default', 11, 10, 'd', true, -1, NULL, NULL, NULL, NULL), (950, 'C', 11, 10, 'c', true, -1, 'C', 'C', NULL, NULL);
CREATE VIEW pgc.pg_database AS SELECT CAST(16384 AS UINTEGER) AS oid, pgc.here() AS datname, CAST(10 AS UINTEGER) AS datdba, 6 AS encoding, 'c' AS datlocprovider, false AS datistemplate,
  true AS datallowconn, -1 AS datconnlimit, CAST(0 AS UINTEGER) AS datfrozenxid, CAST(0 AS UINTEGER) AS datminmxid, CAST(1663 AS UINTEGER) AS dattablespace, 'C' AS datcollate, 'C' AS datctype,
  CAST(NULL AS VARCHAR) AS daticulocale, CAST(NULL AS VARCHAR) AS datcollversion, CAST(NULL AS VARCHAR[]) AS datacl, CAST(0 AS UINTEGER) AS datlastsysoid;
-- The federation owns all objects. The asking user is a role that may sign in.
CREATE VIEW pgc.pg_roles AS SELECT CAST(oid_ AS UINTEGER) AS oid, name_ AS rolname, false AS rolsuper, true AS rolinherit, false AS rolcreaterole, false AS rolcreatedb, oid_ > 10 AS rolcanlogin, false AS rolreplication,
  -1 AS rolconnlimit, '********' AS rolpassword, CAST(NULL AS TIMESTAMP) AS rolvaliduntil, false AS rolbypassrls, CAST(NULL AS VARCHAR[]) AS rolconfig FROM (VALUES (10, 'federation'), (16383, pgc.whom())) AS t(oid_, name_);
CREATE VIEW pgc.pg_authid AS SELECT * FROM pgc.pg_roles;
CREATE VIEW pgc.pg_user AS SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, rolreplication AS userepl, rolbypassrls AS usebypassrls, rolpassword AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig FROM pgc.pg_roles;
CREATE TABLE pgc.pg_group(groname VARCHAR, grosysid UINTEGER, grolist UINTEGER[]);
CREATE TABLE pgc.pg_auth_members(oid UINTEGER, roleid UINTEGER, member UINTEGER, grantor UINTEGER, admin_option BOOLEAN, inherit_option BOOLEAN, set_option BOOLEAN);
CREATE TABLE pgc.pg_tablespace(oid UINTEGER, spcname VARCHAR, spcowner UINTEGER, spcacl VARCHAR[], spcoptions VARCHAR[]);
INSERT INTO pgc.pg_tablespace VALUES (1663, 'pg_default', 10, NULL, NULL);
CREATE TABLE pgc.pg_settings(name VARCHAR, setting VARCHAR, unit VARCHAR, category VARCHAR, short_desc VARCHAR, extra_desc VARCHAR, context VARCHAR, vartype VARCHAR, source VARCHAR, min_val VARCHAR, max_val VARCHAR, enumvals VARCHAR[], boot_val VARCHAR, reset_val VARCHAR, sourcefile VARCHAR, sourceline INTEGER, pending_restart BOOLEAN);
INSERT INTO pgc.pg_settings(name, setting) VALUES ('server_version', '15.0'), ('server_version_num', '150000'), ('max_index_keys', '32'), ('search_path', 'public'), ('TimeZone', 'UTC'), ('client_encoding', 'UTF8'), ('standard_conforming_strings', 'on'), ('max_identifier_length', '63'), ('default_transaction_isolation', 'repeatable read'), ('transaction_isolation', 'repeatable read'),
  ('default_transaction_read_only', 'on'), ('DateStyle', 'ISO, MDY'), ('IntervalStyle', 'postgres'), ('server_encoding', 'UTF8'), ('lc_collate', 'C'), ('lc_ctype', 'C'), ('bytea_output', 'hex'),
  ('integer_datetimes', 'on'), ('is_superuser', 'off'), ('max_connections', '1000');
CREATE MACRO pgc.pg_show_all_settings() AS TABLE SELECT * FROM pgc.pg_settings;
CREATE TABLE pgc.pg_proc(oid UINTEGER, proname VARCHAR, pronamespace UINTEGER, proowner UINTEGER, prolang UINTEGER, procost FLOAT, prorows FLOAT, provariadic UINTEGER, prosupport VARCHAR, prokind VARCHAR, prosecdef BOOLEAN, proleakproof BOOLEAN, proisstrict BOOLEAN, proretset BOOLEAN, provolatile VARCHAR, proparallel VARCHAR, pronargs SMALLINT, pronargdefaults SMALLINT, prorettype UINTEGER, proargtypes UBIGINT[], proallargtypes UINTEGER[], proargmodes VARCHAR[], proargnames VARCHAR[], proargdefaults VARCHAR, protrftypes UINTEGER[], prosrc VARCHAR, probin VARCHAR, proconfig VARCHAR[], proacl VARCHAR[], proisagg BOOLEAN, proiswindow BOOLEAN, prosqlbody VARCHAR);
CREATE TABLE pgc.pg_enum(oid UINTEGER, enumtypid UINTEGER, enumsortorder FLOAT, enumlabel VARCHAR);
CREATE TABLE pgc.pg_inherits(inhrelid UINTEGER, inhparent UINTEGER, inhseqno INTEGER, inhdetachpending BOOLEAN);
CREATE TABLE pgc.pg_trigger(oid UINTEGER, tgrelid UINTEGER, tgparentid UINTEGER, tgname VARCHAR, tgfoid UINTEGER, tgtype SMALLINT, tgenabled VARCHAR, tgisinternal BOOLEAN, tgconstrrelid UINTEGER, tgconstrindid UINTEGER, tgconstraint UINTEGER, tgdeferrable BOOLEAN, tginitdeferred BOOLEAN, tgnargs SMALLINT, tgattr SMALLINT[], tgargs VARCHAR, tgqual VARCHAR, tgoldtable VARCHAR, tgnewtable VARCHAR);
CREATE TABLE pgc.pg_rewrite(oid UINTEGER, rulename VARCHAR, ev_class UINTEGER, ev_type VARCHAR, ev_enabled VARCHAR, is_instead BOOLEAN, ev_qual VARCHAR, ev_action VARCHAR);
CREATE TABLE pgc.pg_depend(classid UINTEGER, objid UINTEGER, objsubid INTEGER, refclassid UINTEGER, refobjid UINTEGER, refobjsubid INTEGER, deptype VARCHAR);
CREATE TABLE pgc.pg_policy(oid UINTEGER, polname VARCHAR, polrelid UINTEGER, polcmd VARCHAR, polpermissive BOOLEAN, polroles UINTEGER[], polqual VARCHAR, polwithcheck VARCHAR);
CREATE TABLE pgc.pg_statistic_ext(oid UINTEGER, stxrelid UINTEGER, stxname VARCHAR, stxnamespace UINTEGER, stxowner UINTEGER, stxstattarget INTEGER, stxkeys SMALLINT[], stxkind VARCHAR[], stxexprs VARCHAR);
CREATE TABLE pgc.pg_publication(oid UINTEGER, pubname VARCHAR, pubowner UINTEGER, puballtables BOOLEAN, pubinsert BOOLEAN, pubupdate BOOLEAN, pubdelete BOOLEAN, pubtruncate BOOLEAN, pubviaroot BOOLEAN);
CREATE TABLE pgc.pg_publication_rel(oid UINTEGER, prpubid UINTEGER, prrelid UINTEGER, prqual VARCHAR, prattrs SMALLINT[]);
CREATE TABLE pgc.pg_publication_namespace(oid UINTEGER, pnpubid UINTEGER, pnnspid UINTEGER);
CREATE TABLE pgc.pg_foreign_table(ftrelid UINTEGER, ftserver UINTEGER, ftoptions VARCHAR[]);
CREATE TABLE pgc.pg_foreign_server(oid UINTEGER, srvname VARCHAR, srvowner UINTEGER, srvfdw UINTEGER, srvtype VARCHAR, srvversion VARCHAR, srvacl VARCHAR[], srvoptions VARCHAR[]);
CREATE TABLE pgc.pg_foreign_data_wrapper(oid UINTEGER, fdwname VARCHAR, fdwowner UINTEGER, fdwhandler UINTEGER, fdwvalidator UINTEGER, fdwacl VARCHAR[], fdwoptions VARCHAR[]);
CREATE TABLE pgc.pg_extension(oid UINTEGER, extname VARCHAR, extowner UINTEGER, extnamespace UINTEGER, extrelocatable BOOLEAN, extversion VARCHAR, extconfig UINTEGER[], extcondition VARCHAR[]);
CREATE TABLE pgc.pg_available_extensions(name VARCHAR, default_version VARCHAR, installed_version VARCHAR, comment VARCHAR);
CREATE TABLE pgc.pg_event_trigger(oid UINTEGER, evtname VARCHAR, evtevent VARCHAR, evtowner UINTEGER, evtfoid UINTEGER, evtenabled VARCHAR, evttags VARCHAR[]);
CREATE TABLE pgc.pg_language(oid UINTEGER, lanname VARCHAR, lanowner UINTEGER, lanispl BOOLEAN, lanpltrusted BOOLEAN, lanplcallfoid UINTEGER, laninline UINTEGER, lanvalidator UINTEGER, lanacl VARCHAR[]);
CREATE TABLE pgc.pg_range(rngtypid UINTEGER, rngsubtype UINTEGER, rngmultitypid UINTEGER, rngcollation UINTEGER, rngsubopc UINTEGER, rngcanonical UINTEGER, rngsubdiff UINTEGER);
CREATE TABLE pgc.pg_sequence(seqrelid UINTEGER, seqtypid UINTEGER, seqstart BIGINT, seqincrement BIGINT, seqmax BIGINT, seqmin BIGINT, seqcache BIGINT, seqcycle BOOLEAN);
CREATE TABLE pgc.pg_sequences(schemaname VARCHAR, sequencename VARCHAR, sequenceowner VARCHAR, data_type VARCHAR, start_value BIGINT, min_value BIGINT, max_value BIGINT, increment_by BIGINT, cycle BOOLEAN, cache_size BIGINT, last_value BIGINT);
CREATE TABLE pgc.pg_partitioned_table(partrelid UINTEGER, partstrat VARCHAR, partnatts SMALLINT, partdefid UINTEGER, partattrs SMALLINT[], partclass UINTEGER[], partcollation UINTEGER[], partexprs VARCHAR);
CREATE TABLE pgc.pg_opclass(oid UINTEGER, opcmethod UINTEGER, opcname VARCHAR, opcnamespace UINTEGER, opcowner UINTEGER, opcfamily UINTEGER, opcintype UINTEGER, opcdefault BOOLEAN, opckeytype UINTEGER);
CREATE TABLE pgc.pg_operator(oid UINTEGER, oprname VARCHAR, oprnamespace UINTEGER, oprowner UINTEGER, oprkind VARCHAR, oprcanmerge BOOLEAN, oprcanhash BOOLEAN, oprleft UINTEGER, oprright UINTEGER, oprresult UINTEGER, oprcom UINTEGER, oprnegate UINTEGER, oprcode UINTEGER, oprrest UINTEGER, oprjoin UINTEGER);
CREATE TABLE pgc.pg_aggregate(aggfnoid UINTEGER, aggkind VARCHAR, aggnumdirectargs SMALLINT, aggtransfn UINTEGER, aggfinalfn UINTEGER, aggcombinefn UINTEGER, aggserialfn UINTEGER, aggdeserialfn UINTEGER, aggmtransfn UINTEGER, aggminvtransfn UINTEGER, aggmfinalfn UINTEGER, aggfinalextra BOOLEAN, aggmfinalextra BOOLEAN, aggfinalmodify VARCHAR, aggmfinalmodify VARCHAR, aggsortop UINTEGER, aggtranstype UINTEGER, aggtransspace INTEGER, aggmtranstype UINTEGER, aggmtransspace INTEGER, agginitval VARCHAR, aggminitval VARCHAR);
CREATE TABLE pgc.pg_cast(oid UINTEGER, castsource UINTEGER, casttarget UINTEGER, castfunc UINTEGER, castcontext VARCHAR, castmethod VARCHAR);
CREATE TABLE pgc.pg_conversion(oid UINTEGER, conname VARCHAR, connamespace UINTEGER, conowner UINTEGER, conforencoding INTEGER, contoencoding INTEGER, conproc UINTEGER, condefault BOOLEAN);
CREATE TABLE pgc.pg_db_role_setting(setdatabase UINTEGER, setrole UINTEGER, setconfig VARCHAR[]);
CREATE TABLE pgc.pg_default_acl(oid UINTEGER, defaclrole UINTEGER, defaclnamespace UINTEGER, defaclobjtype VARCHAR, defaclacl VARCHAR[]);
CREATE TABLE pgc.pg_seclabel(objoid UINTEGER, classoid UINTEGER, objsubid INTEGER, provider VARCHAR, label VARCHAR);
CREATE TABLE pgc.pg_ts_config(oid UINTEGER, cfgname VARCHAR, cfgnamespace UINTEGER, cfgowner UINTEGER, cfgparser UINTEGER);
CREATE TABLE pgc.pg_ts_dict(oid UINTEGER, dictname VARCHAR, dictnamespace UINTEGER, dictowner UINTEGER, dicttemplate UINTEGER, dictinitoption VARCHAR);
CREATE TABLE pgc.pg_ts_parser(oid UINTEGER, prsname VARCHAR, prsnamespace UINTEGER, prsstart VARCHAR, prstoken VARCHAR, prsend VARCHAR, prsheadline VARCHAR, prslextype VARCHAR);
CREATE TABLE pgc.pg_ts_template(oid UINTEGER, tmplname VARCHAR, tmplnamespace UINTEGER, tmplinit VARCHAR, tmpllexize VARCHAR);
CREATE TABLE pgc.pg_user_mappings(umid UINTEGER, srvid UINTEGER, srvname VARCHAR, umuser UINTEGER, usename VARCHAR, umoptions VARCHAR[]);
CREATE TABLE pgc.pg_opfamily(oid UINTEGER, opfmethod UINTEGER, opfname VARCHAR, opfnamespace UINTEGER, opfowner UINTEGER);
CREATE TABLE pgc.pg_amop(oid UINTEGER, amopfamily UINTEGER, amoplefttype UINTEGER, amoprighttype UINTEGER, amopstrategy SMALLINT, amoppurpose VARCHAR, amopopr UINTEGER, amopmethod UINTEGER, amopsortfamily UINTEGER);
CREATE TABLE pgc.pg_amproc(oid UINTEGER, amprocfamily UINTEGER, amproclefttype UINTEGER, amprocrighttype UINTEGER, amprocnum SMALLINT, amproc UINTEGER);
CREATE TABLE pgc.pg_subscription(oid UINTEGER, subdbid UINTEGER, subskiplsn VARCHAR, subname VARCHAR, subowner UINTEGER, subenabled BOOLEAN, subbinary BOOLEAN, substream BOOLEAN, subtwophasestate VARCHAR, subdisableonerr BOOLEAN, subconninfo VARCHAR, subslotname VARCHAR, subsynccommit VARCHAR, subpublications VARCHAR[]);
CREATE TABLE pgc.pg_largeobject_metadata(oid UINTEGER, lomowner UINTEGER, lomacl VARCHAR[]);
CREATE TABLE pgc.pg_parameter_acl(oid UINTEGER, parname VARCHAR, paracl VARCHAR[]);
CREATE TABLE pgc.pg_locks(locktype VARCHAR, database UINTEGER, relation UINTEGER, page INTEGER, tuple SMALLINT, virtualxid VARCHAR, transactionid UINTEGER, classid UINTEGER, objid UINTEGER, objsubid SMALLINT, virtualtransaction VARCHAR, pid INTEGER, mode VARCHAR, granted BOOLEAN, fastpath BOOLEAN, waitstart TIMESTAMP);
CREATE TABLE pgc.pg_stat_activity(datid UINTEGER, datname VARCHAR, pid INTEGER, leader_pid INTEGER, usesysid UINTEGER, usename VARCHAR, application_name VARCHAR, client_addr VARCHAR, client_hostname VARCHAR, client_port INTEGER, backend_start TIMESTAMP, xact_start TIMESTAMP, query_start TIMESTAMP, state_change TIMESTAMP, wait_event_type VARCHAR, wait_event VARCHAR, state VARCHAR, backend_xid UINTEGER, backend_xmin UINTEGER, query_id BIGINT, query VARCHAR, backend_type VARCHAR);
CREATE TABLE pgc.pg_stat_user_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, seq_scan BIGINT, seq_tup_read BIGINT, idx_scan BIGINT, idx_tup_fetch BIGINT, n_tup_ins BIGINT, n_tup_upd BIGINT, n_tup_del BIGINT, n_tup_hot_upd BIGINT, n_live_tup BIGINT, n_dead_tup BIGINT, n_mod_since_analyze BIGINT, n_ins_since_vacuum BIGINT, last_vacuum TIMESTAMP, last_autovacuum TIMESTAMP, last_analyze TIMESTAMP, last_autoanalyze TIMESTAMP, vacuum_count BIGINT, autovacuum_count BIGINT, analyze_count BIGINT, autoanalyze_count BIGINT);
CREATE TABLE pgc.pg_matviews(schemaname VARCHAR, matviewname VARCHAR, matviewowner VARCHAR, tablespace VARCHAR, hasindexes BOOLEAN, ispopulated BOOLEAN, definition VARCHAR);
CREATE TABLE pgc.pg_views(schemaname VARCHAR, viewname VARCHAR, viewowner VARCHAR, definition VARCHAR);
CREATE TABLE pgc.pg_timezone_names(name VARCHAR, abbrev VARCHAR, utc_offset VARCHAR, is_dst BOOLEAN);
CREATE TABLE pgc.pg_stat_ssl(pid INTEGER, ssl BOOLEAN, version VARCHAR, cipher VARCHAR, bits INTEGER, client_dn VARCHAR, client_serial DOUBLE, issuer_dn VARCHAR);
CREATE TABLE pgc.pg_stat_gssapi(pid INTEGER, gss_authenticated BOOLEAN, principal VARCHAR, encrypted BOOLEAN, credentials_delegated BOOLEAN);
CREATE TABLE pgc.pg_seclabels(objoid UINTEGER, classoid UINTEGER, objsubid INTEGER, objtype VARCHAR, objnamespace UINTEGER, objname VARCHAR, provider VARCHAR, label VARCHAR);
CREATE TABLE pgc.pg_shseclabel(objoid UINTEGER, classoid UINTEGER, provider VARCHAR, label VARCHAR);
CREATE TABLE pgc.pg_shdepend(dbid UINTEGER, classid UINTEGER, objid UINTEGER, objsubid INTEGER, refclassid UINTEGER, refobjid UINTEGER, deptype VARCHAR);
CREATE TABLE pgc.pg_policies(schemaname VARCHAR, tablename VARCHAR, policyname VARCHAR, permissive VARCHAR, roles VARCHAR[], cmd VARCHAR, qual VARCHAR, with_check VARCHAR);
CREATE TABLE pgc.pg_publication_tables(pubname VARCHAR, schemaname VARCHAR, tablename VARCHAR, attnames VARCHAR[], rowfilter VARCHAR);
CREATE TABLE pgc.pg_available_extension_versions(name VARCHAR, version VARCHAR, installed BOOLEAN, superuser BOOLEAN, trusted BOOLEAN, relocatable BOOLEAN, schema VARCHAR, requires VARCHAR[], comment VARCHAR);
CREATE TABLE pgc.pg_replication_slots(slot_name VARCHAR, plugin VARCHAR, slot_type VARCHAR, datoid UINTEGER, database VARCHAR, temporary BOOLEAN, active BOOLEAN, active_pid INTEGER, xmin UINTEGER, catalog_xmin UINTEGER, restart_lsn VARCHAR, confirmed_flush_lsn VARCHAR, wal_status VARCHAR, safe_wal_size BIGINT, two_phase BOOLEAN);
CREATE TABLE pgc.pg_stat_replication(pid INTEGER, usesysid UINTEGER, usename VARCHAR, application_name VARCHAR, client_addr VARCHAR, client_hostname VARCHAR, client_port INTEGER, backend_start TIMESTAMP, backend_xmin UINTEGER, state VARCHAR, sent_lsn VARCHAR, write_lsn VARCHAR, flush_lsn VARCHAR, replay_lsn VARCHAR, write_lag VARCHAR, flush_lag VARCHAR, replay_lag VARCHAR, sync_priority INTEGER, sync_state VARCHAR, reply_time TIMESTAMP);
-- The other catalogs of PostgreSQL 15. They are empty here. Above all there are no statistics of anybody's rows.
CREATE TABLE pgc.pg_backend_memory_contexts(name VARCHAR, ident VARCHAR, parent VARCHAR, level INTEGER, total_bytes BIGINT, total_nblocks BIGINT, free_bytes BIGINT, free_chunks BIGINT, used_bytes BIGINT);
CREATE TABLE pgc.pg_config(name VARCHAR, setting VARCHAR);
CREATE TABLE pgc.pg_cursors(name VARCHAR, statement VARCHAR, is_holdable BOOLEAN, is_binary BOOLEAN, is_scrollable BOOLEAN, creation_time TIMESTAMP);
CREATE TABLE pgc.pg_file_settings(sourcefile VARCHAR, sourceline INTEGER, seqno INTEGER, name VARCHAR, setting VARCHAR, applied BOOLEAN, error VARCHAR);
CREATE TABLE pgc.pg_hba_file_rules(line_number INTEGER, type VARCHAR, database VARCHAR[], user_name VARCHAR[], address VARCHAR, netmask VARCHAR, auth_method VARCHAR, options VARCHAR[], error VARCHAR);
CREATE TABLE pgc.pg_ident_file_mappings(line_number INTEGER, map_name VARCHAR, sys_name VARCHAR, pg_username VARCHAR, error VARCHAR);
CREATE TABLE pgc.pg_init_privs(objoid UINTEGER, classoid UINTEGER, objsubid INTEGER, privtype VARCHAR, initprivs VARCHAR[]);
CREATE TABLE pgc.pg_largeobject(loid UINTEGER, pageno INTEGER, data VARCHAR);
CREATE TABLE pgc.pg_prepared_statements(name VARCHAR, statement VARCHAR, prepare_time TIMESTAMP, parameter_types VARCHAR[], from_sql BOOLEAN, generic_plans BIGINT, custom_plans BIGINT);
CREATE TABLE pgc.pg_prepared_xacts(transaction UINTEGER, gid VARCHAR, prepared TIMESTAMP, owner VARCHAR, database VARCHAR);
CREATE TABLE pgc.pg_replication_origin(roident UINTEGER, roname VARCHAR);
CREATE TABLE pgc.pg_replication_origin_status(local_id UINTEGER, external_id VARCHAR, remote_lsn VARCHAR, local_lsn VARCHAR);
CREATE TABLE pgc.pg_rules(schemaname VARCHAR, tablename VARCHAR, rulename VARCHAR, definition VARCHAR);
CREATE TABLE pgc.pg_shadow(usename VARCHAR, usesysid UINTEGER, usecreatedb BOOLEAN, usesuper BOOLEAN, userepl BOOLEAN, usebypassrls BOOLEAN, passwd VARCHAR, valuntil TIMESTAMP, useconfig VARCHAR[]);
CREATE TABLE pgc.pg_shmem_allocations(name VARCHAR, "off" BIGINT, size BIGINT, allocated_size BIGINT);
CREATE TABLE pgc.pg_stat_all_indexes(relid UINTEGER, indexrelid UINTEGER, schemaname VARCHAR, relname VARCHAR, indexrelname VARCHAR, idx_scan BIGINT, idx_tup_read BIGINT, idx_tup_fetch BIGINT);
CREATE TABLE pgc.pg_stat_all_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, seq_scan BIGINT, seq_tup_read BIGINT, idx_scan BIGINT, idx_tup_fetch BIGINT, n_tup_ins BIGINT, n_tup_upd BIGINT, n_tup_del BIGINT, n_tup_hot_upd BIGINT, n_live_tup BIGINT, n_dead_tup BIGINT, n_mod_since_analyze BIGINT, n_ins_since_vacuum BIGINT, last_vacuum TIMESTAMP, last_autovacuum TIMESTAMP, last_analyze TIMESTAMP, last_autoanalyze TIMESTAMP, vacuum_count BIGINT, autovacuum_count BIGINT, analyze_count BIGINT, autoanalyze_count BIGINT);
CREATE TABLE pgc.pg_stat_archiver(archived_count BIGINT, last_archived_wal VARCHAR, last_archived_time TIMESTAMP, failed_count BIGINT, last_failed_wal VARCHAR, last_failed_time TIMESTAMP, stats_reset TIMESTAMP);
CREATE TABLE pgc.pg_stat_bgwriter(checkpoints_timed BIGINT, checkpoints_req BIGINT, checkpoint_write_time DOUBLE, checkpoint_sync_time DOUBLE, buffers_checkpoint BIGINT, buffers_clean BIGINT, maxwritten_clean BIGINT, buffers_backend BIGINT, buffers_backend_fsync BIGINT, buffers_alloc BIGINT, stats_reset TIMESTAMP);
CREATE TABLE pgc.pg_stat_database(datid UINTEGER, datname VARCHAR, numbackends INTEGER, xact_commit BIGINT, xact_rollback BIGINT, blks_read BIGINT, blks_hit BIGINT, tup_returned BIGINT, tup_fetched BIGINT, tup_inserted BIGINT, tup_updated BIGINT, tup_deleted BIGINT, conflicts BIGINT, temp_files BIGINT, temp_bytes BIGINT, deadlocks BIGINT, checksum_failures BIGINT, checksum_last_failure TIMESTAMP, blk_read_time DOUBLE, blk_write_time DOUBLE, session_time DOUBLE, active_time DOUBLE, idle_in_transaction_time DOUBLE, sessions BIGINT, sessions_abandoned BIGINT, sessions_fatal BIGINT, sessions_killed BIGINT, stats_reset TIMESTAMP);
CREATE TABLE pgc.pg_stat_database_conflicts(datid UINTEGER, datname VARCHAR, confl_tablespace BIGINT, confl_lock BIGINT, confl_snapshot BIGINT, confl_bufferpin BIGINT, confl_deadlock BIGINT);
CREATE TABLE pgc.pg_stat_progress_analyze(pid INTEGER, datid UINTEGER, datname VARCHAR, relid UINTEGER, phase VARCHAR, sample_blks_total BIGINT, sample_blks_scanned BIGINT, ext_stats_total BIGINT, ext_stats_computed BIGINT, child_tables_total BIGINT, child_tables_done BIGINT, current_child_table_relid UINTEGER);
CREATE TABLE pgc.pg_stat_progress_basebackup(pid INTEGER, phase VARCHAR, backup_total BIGINT, backup_streamed BIGINT, tablespaces_total BIGINT, tablespaces_streamed BIGINT);
CREATE TABLE pgc.pg_stat_progress_cluster(pid INTEGER, datid UINTEGER, datname VARCHAR, relid UINTEGER, command VARCHAR, phase VARCHAR, cluster_index_relid UINTEGER, heap_tuples_scanned BIGINT, heap_tuples_written BIGINT, heap_blks_total BIGINT, heap_blks_scanned BIGINT, index_rebuild_count BIGINT);
CREATE TABLE pgc.pg_stat_progress_copy(pid INTEGER, datid UINTEGER, datname VARCHAR, relid UINTEGER, command VARCHAR, type VARCHAR, bytes_processed BIGINT, bytes_total BIGINT, tuples_processed BIGINT, tuples_excluded BIGINT);
CREATE TABLE pgc.pg_stat_progress_create_index(pid INTEGER, datid UINTEGER, datname VARCHAR, relid UINTEGER, index_relid UINTEGER, command VARCHAR, phase VARCHAR, lockers_total BIGINT, lockers_done BIGINT, current_locker_pid BIGINT, blocks_total BIGINT, blocks_done BIGINT, tuples_total BIGINT, tuples_done BIGINT, partitions_total BIGINT, partitions_done BIGINT);
CREATE TABLE pgc.pg_stat_progress_vacuum(pid INTEGER, datid UINTEGER, datname VARCHAR, relid UINTEGER, phase VARCHAR, heap_blks_total BIGINT, heap_blks_scanned BIGINT, heap_blks_vacuumed BIGINT, index_vacuum_count BIGINT, max_dead_tuples BIGINT, num_dead_tuples BIGINT);
CREATE TABLE pgc.pg_stat_recovery_prefetch(stats_reset TIMESTAMP, prefetch BIGINT, hit BIGINT, skip_init BIGINT, skip_new BIGINT, skip_fpw BIGINT, skip_rep BIGINT, wal_distance INTEGER, block_distance INTEGER, io_depth INTEGER);
CREATE TABLE pgc.pg_stat_replication_slots(slot_name VARCHAR, spill_txns BIGINT, spill_count BIGINT, spill_bytes BIGINT, stream_txns BIGINT, stream_count BIGINT, stream_bytes BIGINT, total_txns BIGINT, total_bytes BIGINT, stats_reset TIMESTAMP);
CREATE TABLE pgc.pg_stat_slru(name VARCHAR, blks_zeroed BIGINT, blks_hit BIGINT, blks_read BIGINT, blks_written BIGINT, blks_exists BIGINT, flushes BIGINT, truncates BIGINT, stats_reset TIMESTAMP);
CREATE TABLE pgc.pg_stat_subscription(subid UINTEGER, subname VARCHAR, pid INTEGER, relid UINTEGER, received_lsn VARCHAR, last_msg_send_time TIMESTAMP, last_msg_receipt_time TIMESTAMP, latest_end_lsn VARCHAR, latest_end_time TIMESTAMP);
CREATE TABLE pgc.pg_stat_subscription_stats(subid UINTEGER, subname VARCHAR, apply_error_count BIGINT, sync_error_count BIGINT, stats_reset TIMESTAMP);
CREATE TABLE pgc.pg_stat_sys_indexes(relid UINTEGER, indexrelid UINTEGER, schemaname VARCHAR, relname VARCHAR, indexrelname VARCHAR, idx_scan BIGINT, idx_tup_read BIGINT, idx_tup_fetch BIGINT);
CREATE TABLE pgc.pg_stat_sys_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, seq_scan BIGINT, seq_tup_read BIGINT, idx_scan BIGINT, idx_tup_fetch BIGINT, n_tup_ins BIGINT, n_tup_upd BIGINT, n_tup_del BIGINT, n_tup_hot_upd BIGINT, n_live_tup BIGINT, n_dead_tup BIGINT, n_mod_since_analyze BIGINT, n_ins_since_vacuum BIGINT, last_vacuum TIMESTAMP, last_autovacuum TIMESTAMP, last_analyze TIMESTAMP, last_autoanalyze TIMESTAMP, vacuum_count BIGINT, autovacuum_count BIGINT, analyze_count BIGINT, autoanalyze_count BIGINT);
CREATE TABLE pgc.pg_stat_user_functions(funcid UINTEGER, schemaname VARCHAR, funcname VARCHAR, calls BIGINT, total_time DOUBLE, self_time DOUBLE);
CREATE TABLE pgc.pg_stat_user_indexes(relid UINTEGER, indexrelid UINTEGER, schemaname VARCHAR, relname VARCHAR, indexrelname VARCHAR, idx_scan BIGINT, idx_tup_read BIGINT, idx_tup_fetch BIGINT);
CREATE TABLE pgc.pg_stat_wal(wal_records BIGINT, wal_fpi BIGINT, wal_bytes DOUBLE, wal_buffers_full BIGINT, wal_write BIGINT, wal_sync BIGINT, wal_write_time DOUBLE, wal_sync_time DOUBLE, stats_reset TIMESTAMP);
CREATE TABLE pgc.pg_stat_wal_receiver(pid INTEGER, status VARCHAR, receive_start_lsn VARCHAR, receive_start_tli INTEGER, written_lsn VARCHAR, flushed_lsn VARCHAR, received_tli INTEGER, last_msg_send_time TIMESTAMP, last_msg_receipt_time TIMESTAMP, latest_end_lsn VARCHAR, latest_end_time TIMESTAMP, slot_name VARCHAR, sender_host VARCHAR, sender_port INTEGER, conninfo VARCHAR);
CREATE TABLE pgc.pg_stat_xact_all_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, seq_scan BIGINT, seq_tup_read BIGINT, idx_scan BIGINT, idx_tup_fetch BIGINT, n_tup_ins BIGINT, n_tup_upd BIGINT, n_tup_del BIGINT, n_tup_hot_upd BIGINT);
CREATE TABLE pgc.pg_stat_xact_sys_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, seq_scan BIGINT, seq_tup_read BIGINT, idx_scan BIGINT, idx_tup_fetch BIGINT, n_tup_ins BIGINT, n_tup_upd BIGINT, n_tup_del BIGINT, n_tup_hot_upd BIGINT);
CREATE TABLE pgc.pg_stat_xact_user_functions(funcid UINTEGER, schemaname VARCHAR, funcname VARCHAR, calls BIGINT, total_time DOUBLE, self_time DOUBLE);
CREATE TABLE pgc.pg_stat_xact_user_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, seq_scan BIGINT, seq_tup_read BIGINT, idx_scan BIGINT, idx_tup_fetch BIGINT, n_tup_ins BIGINT, n_tup_upd BIGINT, n_tup_del BIGINT, n_tup_hot_upd BIGINT);
CREATE TABLE pgc.pg_statio_all_indexes(relid UINTEGER, indexrelid UINTEGER, schemaname VARCHAR, relname VARCHAR, indexrelname VARCHAR, idx_blks_read BIGINT, idx_blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_all_sequences(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, blks_read BIGINT, blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_all_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, heap_blks_read BIGINT, heap_blks_hit BIGINT, idx_blks_read BIGINT, idx_blks_hit BIGINT, toast_blks_read BIGINT, toast_blks_hit BIGINT, tidx_blks_read BIGINT, tidx_blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_sys_indexes(relid UINTEGER, indexrelid UINTEGER, schemaname VARCHAR, relname VARCHAR, indexrelname VARCHAR, idx_blks_read BIGINT, idx_blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_sys_sequences(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, blks_read BIGINT, blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_sys_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, heap_blks_read BIGINT, heap_blks_hit BIGINT, idx_blks_read BIGINT, idx_blks_hit BIGINT, toast_blks_read BIGINT, toast_blks_hit BIGINT, tidx_blks_read BIGINT, tidx_blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_user_indexes(relid UINTEGER, indexrelid UINTEGER, schemaname VARCHAR, relname VARCHAR, indexrelname VARCHAR, idx_blks_read BIGINT, idx_blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_user_sequences(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, blks_read BIGINT, blks_hit BIGINT);
CREATE TABLE pgc.pg_statio_user_tables(relid UINTEGER, schemaname VARCHAR, relname VARCHAR, heap_blks_read BIGINT, heap_blks_hit BIGINT, idx_blks_read BIGINT, idx_blks_hit BIGINT, toast_blks_read BIGINT, toast_blks_hit BIGINT, tidx_blks_read BIGINT, tidx_blks_hit BIGINT);
CREATE TABLE pgc.pg_statistic(starelid UINTEGER, staattnum SMALLINT, stainherit BOOLEAN, stanullfrac FLOAT, stawidth INTEGER, stadistinct FLOAT, stakind1 SMALLINT, stakind2 SMALLINT, stakind3 SMALLINT, stakind4 SMALLINT, stakind5 SMALLINT, staop1 UINTEGER, staop2 UINTEGER, staop3 UINTEGER, staop4 UINTEGER, staop5 UINTEGER, stacoll1 UINTEGER, stacoll2 UINTEGER, stacoll3 UINTEGER, stacoll4 UINTEGER, stacoll5 UINTEGER, stanumbers1 FLOAT[], stanumbers2 FLOAT[], stanumbers3 FLOAT[], stanumbers4 FLOAT[], stanumbers5 FLOAT[], stavalues1 VARCHAR, stavalues2 VARCHAR, stavalues3 VARCHAR, stavalues4 VARCHAR, stavalues5 VARCHAR);
CREATE TABLE pgc.pg_statistic_ext_data(stxoid UINTEGER, stxdinherit BOOLEAN, stxdndistinct VARCHAR, stxddependencies VARCHAR, stxdmcv VARCHAR, stxdexpr VARCHAR[]);
CREATE TABLE pgc.pg_stats(schemaname VARCHAR, tablename VARCHAR, attname VARCHAR, inherited BOOLEAN, null_frac FLOAT, avg_width INTEGER, n_distinct FLOAT, most_common_vals VARCHAR, most_common_freqs FLOAT[], histogram_bounds VARCHAR, correlation FLOAT, most_common_elems VARCHAR, most_common_elem_freqs FLOAT[], elem_count_histogram FLOAT[]);
CREATE TABLE pgc.pg_stats_ext(schemaname VARCHAR, tablename VARCHAR, statistics_schemaname VARCHAR, statistics_name VARCHAR, statistics_owner VARCHAR, attnames VARCHAR[], exprs VARCHAR[], kinds VARCHAR[], inherited BOOLEAN, n_distinct VARCHAR, dependencies VARCHAR, most_common_vals VARCHAR[], most_common_val_nulls BOOLEAN[], most_common_freqs VARCHAR[], most_common_base_freqs VARCHAR[]);
CREATE TABLE pgc.pg_stats_ext_exprs(schemaname VARCHAR, tablename VARCHAR, statistics_schemaname VARCHAR, statistics_name VARCHAR, statistics_owner VARCHAR, expr VARCHAR, inherited BOOLEAN, null_frac FLOAT, avg_width INTEGER, n_distinct FLOAT, most_common_vals VARCHAR, most_common_freqs FLOAT[], histogram_bounds VARCHAR, correlation FLOAT, most_common_elems VARCHAR, most_common_elem_freqs FLOAT[], elem_count_histogram FLOAT[]);
CREATE TABLE pgc.pg_subscription_rel(srsubid UINTEGER, srrelid UINTEGER, srsubstate VARCHAR, srsublsn VARCHAR);
CREATE TABLE pgc.pg_timezone_abbrevs(abbrev VARCHAR, utc_offset VARCHAR, is_dst BOOLEAN);
CREATE TABLE pgc.pg_transform(oid UINTEGER, trftype UINTEGER, trflang UINTEGER, trffromsql UINTEGER, trftosql UINTEGER);
CREATE TABLE pgc.pg_ts_config_map(mapcfg UINTEGER, maptokentype INTEGER, mapseqno INTEGER, mapdict UINTEGER);
CREATE TABLE pgc.pg_user_mapping(oid UINTEGER, umuser UINTEGER, umserver UINTEGER, umoptions VARCHAR[]);
CREATE VIEW pgc.pg_tables AS SELECT n.nspname AS schemaname, c.relname AS tablename, 'federation' AS tableowner, CAST(NULL AS VARCHAR) AS tablespace, c.relhasindex AS hasindexes, false AS hasrules, false AS hastriggers, false AS rowsecurity
  FROM pgc.pg_class c JOIN pgc.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r';
CREATE VIEW pgc.pg_indexes AS SELECT n.nspname AS schemaname, t.relname AS tablename, c.relname AS indexname, CAST(NULL AS VARCHAR) AS tablespace, i.definition AS indexdef
  FROM pgc.pg_index i JOIN pgc.pg_class c ON c.oid = i.indexrelid JOIN pgc.pg_class t ON t.oid = i.indrelid JOIN pgc.pg_namespace n ON n.oid = c.relnamespace;

-- The tables that functions read. A macro's argument can be a column of the caller, such as oid. DuckDB must not take
-- it for a column of the table that the macro reads, so no column here has a name of PostgreSQL's.
CREATE SCHEMA own;
-- Clients refer to some system catalogs by name. They are not rows of pg_class, or clients would list them as tables.
CREATE VIEW own.classes AS SELECT oid AS oid_, relname AS name_ FROM pgc.pg_class UNION ALL SELECT CAST(unnest([1247, 1249, 1255, 1259, 1260, 1213, 1262, 2601, 2604, 2606, 2615, 2618, 2620, 3079, 3466]) AS UINTEGER),
  unnest(['pg_type', 'pg_attribute', 'pg_proc', 'pg_class', 'pg_authid', 'pg_tablespace', 'pg_database', 'pg_am', 'pg_attrdef', 'pg_constraint', 'pg_namespace', 'pg_rewrite', 'pg_trigger', 'pg_extension', 'pg_event_trigger']);
CREATE VIEW own.types AS SELECT oid AS oid_, typname AS name_ FROM pgc.pg_type;
CREATE VIEW own.constraints AS SELECT oid AS oid_, definition AS text_ FROM pgc.pg_constraint;
CREATE VIEW own.indexes AS SELECT indexrelid AS oid_, indrelid AS table_, indkey AS key_, definition AS text_ FROM pgc.pg_index;
CREATE VIEW own.attributes AS SELECT attrelid AS table_, attnum AS number_, attname AS name_ FROM pgc.pg_attribute;
CREATE VIEW own.descriptions AS SELECT objoid AS object_, objsubid AS column_, description AS text_ FROM pgc.pg_description;

-- Functions. Some depend on the asking user: the caller adds their first argument.

CREATE MACRO pgc.version() AS 'PostgreSQL 15.0 (Intramuros, a federation behind PostgreSQL''s protocol)';
CREATE MACRO pgc.current_database(x) AS x;
CREATE MACRO pgc.current_catalog(x) AS x;
CREATE MACRO pgc.current_user(x) AS x;
CREATE MACRO pgc.session_user(x) AS x;
CREATE MACRO pgc.current_role(x) AS x;
CREATE MACRO pgc.user(x) AS x;
CREATE MACRO pgc.current_schema(x) AS x;
CREATE MACRO pgc.current_setting(x) AS x;
CREATE MACRO pgc.set_config(a, b, c) AS CAST(b AS VARCHAR);
CREATE MACRO pgc.current_schemas(x) AS CASE WHEN x THEN ['pg_catalog', 'public'] ELSE ['public'] END;
CREATE MACRO pgc.pg_backend_pid(x) AS CAST(x AS INTEGER);
CREATE MACRO pgc.pg_client_encoding() AS 'UTF8';
CREATE MACRO pgc.getdatabaseencoding() AS 'UTF8';
CREATE MACRO pgc.pg_encoding_to_char(x) AS 'UTF8';
CREATE MACRO pgc.pg_char_to_encoding(x) AS 6;
CREATE MACRO pgc.pg_get_function_sqlbody(o) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_is_in_recovery() AS false;
CREATE MACRO pgc.pg_my_temp_schema() AS CAST(0 AS UINTEGER);
CREATE MACRO pgc.pg_is_other_temp_schema(x) AS false;
CREATE MACRO pgc.pg_advisory_unlock_all() AS '';
CREATE MACRO pgc.txid_current() AS CAST(1 AS BIGINT);
CREATE MACRO pgc.inet_server_addr() AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.inet_server_port() AS CAST(NULL AS INTEGER);
CREATE MACRO pgc.quote_ident(x) AS CASE WHEN regexp_full_match(x, '[a-z_][a-z0-9_]*') THEN x ELSE '"' || replace(x, '"', '""') || '"' END;
CREATE MACRO pgc.quote_literal(x) AS '''' || replace(x, '''', '''''') || '''';
CREATE MACRO pgc.format_type(t, m) AS (SELECT CASE x.name_ WHEN 'bool' THEN 'boolean' WHEN 'int8' THEN 'bigint' WHEN 'int4' THEN 'integer' WHEN 'int2' THEN 'smallint'
  WHEN 'float8' THEN 'double precision' WHEN 'float4' THEN 'real' WHEN 'timestamp' THEN 'timestamp without time zone' WHEN 'timestamptz' THEN 'timestamp with time zone'
  WHEN 'varchar' THEN 'character varying' WHEN 'bpchar' THEN 'character' WHEN 'char' THEN '"char"' ELSE x.name_ END FROM own.types x WHERE x.oid_ = t);
CREATE MACRO pgc.regclass_name(o) AS COALESCE((SELECT x.name_ FROM own.classes x WHERE x.oid_ = o), CAST(o AS VARCHAR));
CREATE MACRO pgc.to_regclass(n) AS (SELECT x.oid_ FROM own.classes x WHERE x.name_ = replace(replace(n, '"', ''), 'public.', ''));
CREATE MACRO pgc.to_regtype(n) AS (SELECT x.oid_ FROM own.types x WHERE x.name_ = n);
CREATE MACRO pgc.to_class(n) AS (SELECT min(x.oid_) FROM own.classes x WHERE CAST(x.oid_ AS VARCHAR) = CAST(n AS VARCHAR)
  OR x.name_ = replace(replace(replace(CAST(n AS VARCHAR), '"', ''), 'public.', ''), 'pg_catalog.', ''));
CREATE MACRO pgc.to_type(n) AS (SELECT min(x.oid_) FROM own.types x WHERE CAST(x.oid_ AS VARCHAR) = CAST(n AS VARCHAR) OR x.name_ = replace(CAST(n AS VARCHAR), 'pg_catalog.', ''));
CREATE MACRO pgc.to_name(n) AS COALESCE((SELECT x.name_ FROM own.classes x WHERE CAST(x.oid_ AS VARCHAR) = CAST(n AS VARCHAR)), CAST(n AS VARCHAR));
CREATE MACRO pgc.parse_ident(x) AS string_split(replace(x, '"', ''), '.');
CREATE MACRO pgc.pg_table_is_visible(x) AS true;
CREATE MACRO pgc.pg_type_is_visible(x) AS true;
CREATE MACRO pgc.pg_function_is_visible(x) AS true;
CREATE MACRO pgc.pg_operator_is_visible(x) AS true;
CREATE MACRO pgc.pg_collation_is_visible(x) AS true;
CREATE MACRO pgc.pg_conversion_is_visible(x) AS true;
CREATE MACRO pgc.pg_opclass_is_visible(x) AS true;
CREATE MACRO pgc.pg_opfamily_is_visible(x) AS true;
CREATE MACRO pgc.pg_statistics_obj_is_visible(x) AS true;
CREATE MACRO pgc.pg_ts_config_is_visible(x) AS true;
CREATE MACRO pgc.pg_ts_dict_is_visible(x) AS true;
CREATE MACRO pgc.pg_ts_parser_is_visible(x) AS true;
CREATE MACRO pgc.pg_ts_template_is_visible(x) AS true;
CREATE MACRO pgc.array_upper(a, n) AS CASE WHEN len(a) > 0 THEN CAST(len(a) AS INTEGER) END;
CREATE MACRO pgc.array_lower(a, n) AS CASE WHEN len(a) > 0 THEN 1 END;
CREATE MACRO pgc.pg_get_userbyid(x) AS 'federation';
CREATE MACRO pgc.pg_get_expr(a, b) AS CAST(NULL AS VARCHAR), (a, b, c) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_constraintdef(o) AS (SELECT x.text_ FROM own.constraints x WHERE x.oid_ = o), (o, pretty) AS (SELECT x.text_ FROM own.constraints x WHERE x.oid_ = o);
CREATE MACRO pgc.pg_get_indexdef(o) AS (SELECT x.text_ FROM own.indexes x WHERE x.oid_ = o),
  (o, n, pretty) AS (SELECT CASE WHEN n = 0 THEN x.text_ ELSE (SELECT a.name_ FROM own.attributes a WHERE a.table_ = x.table_ AND a.number_ = x.key_[n]) END FROM own.indexes x WHERE x.oid_ = o);
CREATE MACRO pgc.pg_get_viewdef(o) AS CAST(NULL AS VARCHAR), (o, p) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_partkeydef(o) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_ruledef(o) AS CAST(NULL AS VARCHAR), (o, p) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_triggerdef(o) AS CAST(NULL AS VARCHAR), (o, p) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_function_result(o) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_function_arguments(o) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_function_identity_arguments(o) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_functiondef(o) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_statisticsobjdef_columns(o) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_get_serial_sequence(a, b) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc.pg_relation_is_publishable(o) AS false;
CREATE MACRO pgc.pg_relation_size(o) AS CAST(0 AS BIGINT), (o, f) AS CAST(0 AS BIGINT);
CREATE MACRO pgc.pg_table_size(o) AS CAST(0 AS BIGINT);
CREATE MACRO pgc.pg_indexes_size(o) AS CAST(0 AS BIGINT);
CREATE MACRO pgc.pg_total_relation_size(o) AS CAST(0 AS BIGINT);
CREATE MACRO pgc.pg_database_size(o) AS CAST(0 AS BIGINT);
CREATE MACRO pgc.pg_tablespace_size(o) AS CAST(0 AS BIGINT);
CREATE MACRO pgc.pg_tablespace_location(o) AS '';
CREATE MACRO pgc.pg_size_pretty(n) AS CAST(n AS VARCHAR) || ' bytes';
CREATE MACRO pgc.pg_stat_get_numscans(o) AS CAST(0 AS BIGINT);
-- Everything can be read and nothing can be written.
CREATE MACRO pgc.has_table_privilege(a, b) AS contains(lower(b), 'select'), (a, b, c) AS contains(lower(c), 'select');
CREATE MACRO pgc.has_any_column_privilege(a, b) AS contains(lower(b), 'select'), (a, b, c) AS contains(lower(c), 'select');
CREATE MACRO pgc.has_column_privilege(a, b, c) AS contains(lower(c), 'select'), (a, b, c, d) AS contains(lower(d), 'select');
CREATE MACRO pgc.has_schema_privilege(a, b) AS contains(lower(b), 'usage'), (a, b, c) AS contains(lower(c), 'usage');
CREATE MACRO pgc.has_database_privilege(a, b) AS contains(lower(b), 'connect'), (a, b, c) AS contains(lower(c), 'connect');
CREATE MACRO pgc.has_function_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO pgc.pg_has_role(a, b) AS true, (a, b, c) AS true;
CREATE MACRO pgc.obj_description(o) AS (SELECT x.text_ FROM own.descriptions x WHERE x.object_ = o AND x.column_ = 0), (o, c) AS (SELECT x.text_ FROM own.descriptions x WHERE x.object_ = o AND x.column_ = 0);
CREATE MACRO pgc.col_description(o, n) AS (SELECT x.text_ FROM own.descriptions x WHERE x.object_ = o AND x.column_ = n);
CREATE MACRO pgc.shobj_description(o, c) AS CAST(NULL AS VARCHAR);
CREATE MACRO pgc._pg_expandarray(a) AS unnest(list_transform(range(1, len(a) + 1), lambda i: {'x': a[i], 'n': i}));
CREATE MACRO pgc.pg_partition_ancestors(x) AS unnest(CAST([] AS UINTEGER[]));
CREATE MACRO pgc.pg_partition_ancestors(x) AS TABLE SELECT CAST(NULL AS UINTEGER) AS relid, CAST(NULL AS BIGINT) AS ordinality WHERE false;
CREATE MACRO pgc.pg_get_publication_tables(x) AS TABLE SELECT CAST(NULL AS UINTEGER) AS relid WHERE false;
CREATE MACRO pgc.pg_get_keywords() AS TABLE SELECT CAST(NULL AS VARCHAR) AS word, CAST(NULL AS VARCHAR) AS catcode, CAST(NULL AS VARCHAR) AS catdesc WHERE false;
CREATE MACRO pgc.pg_timezone_abbrevs() AS TABLE SELECT CAST(NULL AS VARCHAR) AS abbrev WHERE false;

-- The information schema.

CREATE VIEW isc.schemata AS SELECT pgc.here() AS catalog_name, nspname AS schema_name, 'federation' AS schema_owner, CAST(NULL AS VARCHAR) AS default_character_set_catalog, CAST(NULL AS VARCHAR) AS default_character_set_schema, CAST(NULL AS VARCHAR) AS default_character_set_name, CAST(NULL AS VARCHAR) AS sql_path FROM pgc.pg_namespace;
CREATE VIEW isc.tables AS SELECT pgc.here() AS table_catalog, 'public' AS table_schema, relname AS table_name, 'BASE TABLE' AS table_type, CAST(NULL AS VARCHAR) AS self_referencing_column_name,
  CAST(NULL AS VARCHAR) AS reference_generation, CAST(NULL AS VARCHAR) AS user_defined_type_catalog, CAST(NULL AS VARCHAR) AS user_defined_type_schema, CAST(NULL AS VARCHAR) AS user_defined_type_name, 'NO' AS is_insertable_into, 'NO' AS is_typed, CAST(NULL AS VARCHAR) AS commit_action FROM pgc.pg_class WHERE relkind = 'r';
CREATE VIEW isc.columns AS SELECT pgc.here() AS table_catalog, 'public' AS table_schema, c.relname AS table_name, a.attname AS column_name, CAST(a.attnum AS INTEGER) AS ordinal_position,
  CAST(NULL AS VARCHAR) AS column_default, CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable, pgc.format_type(a.atttypid, -1) AS data_type,
  CAST(NULL AS INTEGER) AS character_maximum_length, CASE WHEN a.atttypid = 25 THEN 1073741824 END AS character_octet_length,
  CASE a.atttypid WHEN 20 THEN 64 WHEN 701 THEN 53 END AS numeric_precision, CASE a.atttypid WHEN 20 THEN 2 WHEN 701 THEN 2 END AS numeric_precision_radix,
  CASE a.atttypid WHEN 20 THEN 0 END AS numeric_scale, CASE WHEN a.atttypid = 1114 THEN 6 WHEN a.atttypid = 1082 THEN 0 END AS datetime_precision,
  CAST(NULL AS VARCHAR) AS interval_type, CAST(NULL AS INTEGER) AS interval_precision, CAST(NULL AS VARCHAR) AS character_set_catalog, CAST(NULL AS VARCHAR) AS character_set_schema, CAST(NULL AS VARCHAR) AS character_set_name, CAST(NULL AS VARCHAR) AS collation_catalog, CAST(NULL AS VARCHAR) AS collation_schema, CAST(NULL AS VARCHAR) AS collation_name,
  CAST(NULL AS VARCHAR) AS domain_catalog, CAST(NULL AS VARCHAR) AS domain_schema, CAST(NULL AS VARCHAR) AS domain_name, pgc.here() AS udt_catalog, 'pg_catalog' AS udt_schema, t.typname AS udt_name,
  CAST(NULL AS VARCHAR) AS scope_catalog, CAST(NULL AS VARCHAR) AS scope_schema, CAST(NULL AS VARCHAR) AS scope_name, CAST(NULL AS INTEGER) AS maximum_cardinality,
  CAST(a.attnum AS VARCHAR) AS dtd_identifier, 'NO' AS is_self_referencing, 'NO' AS is_identity, CAST(NULL AS VARCHAR) AS identity_generation, CAST(NULL AS VARCHAR) AS identity_start, CAST(NULL AS VARCHAR) AS identity_increment, CAST(NULL AS VARCHAR) AS identity_maximum, CAST(NULL AS VARCHAR) AS identity_minimum, 'NO' AS identity_cycle, 'NEVER' AS is_generated, CAST(NULL AS VARCHAR) AS generation_expression, 'NO' AS is_updatable
  FROM pgc.pg_attribute a JOIN pgc.pg_class c ON c.oid = a.attrelid JOIN pgc.pg_type t ON t.oid = a.atttypid WHERE c.relkind = 'r';
CREATE VIEW isc.table_constraints AS SELECT pgc.here() AS constraint_catalog, 'public' AS constraint_schema, k.conname AS constraint_name, pgc.here() AS table_catalog, 'public' AS table_schema,
  c.relname AS table_name, CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'FOREIGN KEY' END AS constraint_type, 'NO' AS is_deferrable, 'NO' AS initially_deferred, 'YES' AS enforced,
  CASE k.contype WHEN 'u' THEN 'YES' END AS nulls_distinct FROM pgc.pg_constraint k JOIN pgc.pg_class c ON c.oid = k.conrelid;
CREATE VIEW isc.key_column_usage AS SELECT pgc.here() AS constraint_catalog, 'public' AS constraint_schema, k.conname AS constraint_name, pgc.here() AS table_catalog, 'public' AS table_schema,
  c.relname AS table_name, a.attname AS column_name, k.i AS ordinal_position, CASE WHEN k.contype = 'f' THEN k.i END AS position_in_unique_constraint
  FROM (SELECT *, unnest(conkey) AS attnum, unnest(range(1, len(conkey) + 1)) AS i FROM pgc.pg_constraint) k JOIN pgc.pg_class c ON c.oid = k.conrelid
  JOIN pgc.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.attnum;
CREATE VIEW isc.constraint_column_usage AS SELECT pgc.here() AS table_catalog, 'public' AS table_schema, c.relname AS table_name, a.attname AS column_name, pgc.here() AS constraint_catalog,
  'public' AS constraint_schema, k.conname AS constraint_name
  FROM (SELECT *, CASE contype WHEN 'f' THEN confrelid ELSE conrelid END AS at, unnest(CASE contype WHEN 'f' THEN confkey ELSE conkey END) AS attnum FROM pgc.pg_constraint) k
  JOIN pgc.pg_class c ON c.oid = k.at JOIN pgc.pg_attribute a ON a.attrelid = k.at AND a.attnum = k.attnum;
CREATE VIEW isc.referential_constraints AS SELECT pgc.here() AS constraint_catalog, 'public' AS constraint_schema, k.conname AS constraint_name, pgc.here() AS unique_constraint_catalog,
  'public' AS unique_constraint_schema, p.conname AS unique_constraint_name, 'NONE' AS match_option, 'NO ACTION' AS update_rule, 'NO ACTION' AS delete_rule
  FROM pgc.pg_constraint k LEFT JOIN pgc.pg_constraint p ON p.conrelid = k.confrelid AND p.contype = 'p' WHERE k.contype = 'f';
CREATE VIEW isc.table_privileges AS SELECT 'federation' AS grantor, 'PUBLIC' AS grantee, table_catalog, table_schema, table_name, 'SELECT' AS privilege_type, 'NO' AS is_grantable, 'YES' AS with_hierarchy FROM isc.tables;
CREATE VIEW isc.role_table_grants AS SELECT * FROM isc.table_privileges;
CREATE VIEW isc.column_privileges AS SELECT 'federation' AS grantor, 'PUBLIC' AS grantee, table_catalog, table_schema, table_name, column_name, 'SELECT' AS privilege_type, 'NO' AS is_grantable FROM isc.columns;

-- The rest of PostgreSQL 15's information_schema. It is empty here.
CREATE TABLE isc.administrable_role_authorizations(grantee VARCHAR, role_name VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.applicable_roles(grantee VARCHAR, role_name VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.attributes(udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, attribute_name VARCHAR, ordinal_position INTEGER, attribute_default VARCHAR, is_nullable VARCHAR, data_type VARCHAR, character_maximum_length INTEGER, character_octet_length INTEGER, character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR, collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, datetime_precision INTEGER, interval_type VARCHAR, interval_precision INTEGER, attribute_udt_catalog VARCHAR, attribute_udt_schema VARCHAR, attribute_udt_name VARCHAR, scope_catalog VARCHAR, scope_schema VARCHAR, scope_name VARCHAR, maximum_cardinality INTEGER, dtd_identifier VARCHAR, is_derived_reference_attribute VARCHAR);
CREATE TABLE isc.character_sets(character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR, character_repertoire VARCHAR, form_of_use VARCHAR, default_collate_catalog VARCHAR, default_collate_schema VARCHAR, default_collate_name VARCHAR);
CREATE TABLE isc.check_constraint_routine_usage(constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR, specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR);
CREATE TABLE isc.check_constraints(constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR, check_clause VARCHAR);
CREATE TABLE isc.collation_character_set_applicability(collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR);
CREATE TABLE isc.collations(collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, pad_attribute VARCHAR);
CREATE TABLE isc.column_column_usage(table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, dependent_column VARCHAR);
CREATE TABLE isc.column_domain_usage(domain_catalog VARCHAR, domain_schema VARCHAR, domain_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR);
CREATE TABLE isc.column_options(table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, option_name VARCHAR, option_value VARCHAR);
CREATE TABLE isc.column_udt_usage(udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR);
CREATE TABLE isc.constraint_table_usage(table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR);
CREATE TABLE isc.data_type_privileges(object_catalog VARCHAR, object_schema VARCHAR, object_name VARCHAR, object_type VARCHAR, dtd_identifier VARCHAR);
CREATE TABLE isc.domain_constraints(constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR, domain_catalog VARCHAR, domain_schema VARCHAR, domain_name VARCHAR, is_deferrable VARCHAR, initially_deferred VARCHAR);
CREATE TABLE isc.domain_udt_usage(udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, domain_catalog VARCHAR, domain_schema VARCHAR, domain_name VARCHAR);
CREATE TABLE isc.domains(domain_catalog VARCHAR, domain_schema VARCHAR, domain_name VARCHAR, data_type VARCHAR, character_maximum_length INTEGER, character_octet_length INTEGER, character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR, collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, datetime_precision INTEGER, interval_type VARCHAR, interval_precision INTEGER, domain_default VARCHAR, udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, scope_catalog VARCHAR, scope_schema VARCHAR, scope_name VARCHAR, maximum_cardinality INTEGER, dtd_identifier VARCHAR);
CREATE TABLE isc.element_types(object_catalog VARCHAR, object_schema VARCHAR, object_name VARCHAR, object_type VARCHAR, collection_type_identifier VARCHAR, data_type VARCHAR, character_maximum_length INTEGER, character_octet_length INTEGER, character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR, collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, datetime_precision INTEGER, interval_type VARCHAR, interval_precision INTEGER, domain_default VARCHAR, udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, scope_catalog VARCHAR, scope_schema VARCHAR, scope_name VARCHAR, maximum_cardinality INTEGER, dtd_identifier VARCHAR);
CREATE VIEW isc.enabled_roles AS SELECT 'federation' AS role_name;
CREATE TABLE isc.foreign_data_wrapper_options(foreign_data_wrapper_catalog VARCHAR, foreign_data_wrapper_name VARCHAR, option_name VARCHAR, option_value VARCHAR);
CREATE TABLE isc.foreign_data_wrappers(foreign_data_wrapper_catalog VARCHAR, foreign_data_wrapper_name VARCHAR, authorization_identifier VARCHAR, library_name VARCHAR, foreign_data_wrapper_language VARCHAR);
CREATE TABLE isc.foreign_server_options(foreign_server_catalog VARCHAR, foreign_server_name VARCHAR, option_name VARCHAR, option_value VARCHAR);
CREATE TABLE isc.foreign_servers(foreign_server_catalog VARCHAR, foreign_server_name VARCHAR, foreign_data_wrapper_catalog VARCHAR, foreign_data_wrapper_name VARCHAR, foreign_server_type VARCHAR, foreign_server_version VARCHAR, authorization_identifier VARCHAR);
CREATE TABLE isc.foreign_table_options(foreign_table_catalog VARCHAR, foreign_table_schema VARCHAR, foreign_table_name VARCHAR, option_name VARCHAR, option_value VARCHAR);
CREATE TABLE isc.foreign_tables(foreign_table_catalog VARCHAR, foreign_table_schema VARCHAR, foreign_table_name VARCHAR, foreign_server_catalog VARCHAR, foreign_server_name VARCHAR);
CREATE VIEW isc.information_schema_catalog_name AS SELECT pgc.here() AS catalog_name;
CREATE TABLE isc.parameters(specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, ordinal_position INTEGER, parameter_mode VARCHAR, is_result VARCHAR, as_locator VARCHAR, parameter_name VARCHAR, data_type VARCHAR, character_maximum_length INTEGER, character_octet_length INTEGER, character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR, collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, datetime_precision INTEGER, interval_type VARCHAR, interval_precision INTEGER, udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, scope_catalog VARCHAR, scope_schema VARCHAR, scope_name VARCHAR, maximum_cardinality INTEGER, dtd_identifier VARCHAR, parameter_default VARCHAR);
CREATE TABLE isc.role_column_grants(grantor VARCHAR, grantee VARCHAR, table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.role_routine_grants(grantor VARCHAR, grantee VARCHAR, specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.role_udt_grants(grantor VARCHAR, grantee VARCHAR, udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.role_usage_grants(grantor VARCHAR, grantee VARCHAR, object_catalog VARCHAR, object_schema VARCHAR, object_name VARCHAR, object_type VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.routine_column_usage(specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR);
CREATE TABLE isc.routine_privileges(grantor VARCHAR, grantee VARCHAR, specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.routine_routine_usage(specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR);
CREATE TABLE isc.routine_sequence_usage(specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR, sequence_catalog VARCHAR, sequence_schema VARCHAR, sequence_name VARCHAR);
CREATE TABLE isc.routine_table_usage(specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR);
CREATE TABLE isc.routines(specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, routine_catalog VARCHAR, routine_schema VARCHAR, routine_name VARCHAR, routine_type VARCHAR, module_catalog VARCHAR, module_schema VARCHAR, module_name VARCHAR, udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, data_type VARCHAR, character_maximum_length INTEGER, character_octet_length INTEGER, character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR, collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, datetime_precision INTEGER, interval_type VARCHAR, interval_precision INTEGER, type_udt_catalog VARCHAR, type_udt_schema VARCHAR, type_udt_name VARCHAR, scope_catalog VARCHAR, scope_schema VARCHAR, scope_name VARCHAR, maximum_cardinality INTEGER, dtd_identifier VARCHAR, routine_body VARCHAR, routine_definition VARCHAR, external_name VARCHAR, external_language VARCHAR, parameter_style VARCHAR, is_deterministic VARCHAR, sql_data_access VARCHAR, is_null_call VARCHAR, sql_path VARCHAR, schema_level_routine VARCHAR, max_dynamic_result_sets INTEGER, is_user_defined_cast VARCHAR, is_implicitly_invocable VARCHAR, security_type VARCHAR, to_sql_specific_catalog VARCHAR, to_sql_specific_schema VARCHAR, to_sql_specific_name VARCHAR, as_locator VARCHAR, created TIMESTAMP, last_altered TIMESTAMP, new_savepoint_level VARCHAR, is_udt_dependent VARCHAR, result_cast_from_data_type VARCHAR, result_cast_as_locator VARCHAR, result_cast_char_max_length INTEGER, result_cast_char_octet_length INTEGER, result_cast_char_set_catalog VARCHAR, result_cast_char_set_schema VARCHAR, result_cast_char_set_name VARCHAR, result_cast_collation_catalog VARCHAR, result_cast_collation_schema VARCHAR, result_cast_collation_name VARCHAR, result_cast_numeric_precision INTEGER, result_cast_numeric_precision_radix INTEGER, result_cast_numeric_scale INTEGER, result_cast_datetime_precision INTEGER, result_cast_interval_type VARCHAR, result_cast_interval_precision INTEGER, result_cast_type_udt_catalog VARCHAR, result_cast_type_udt_schema VARCHAR, result_cast_type_udt_name VARCHAR, result_cast_scope_catalog VARCHAR, result_cast_scope_schema VARCHAR, result_cast_scope_name VARCHAR, result_cast_maximum_cardinality INTEGER, result_cast_dtd_identifier VARCHAR);
CREATE TABLE isc.sequences(sequence_catalog VARCHAR, sequence_schema VARCHAR, sequence_name VARCHAR, data_type VARCHAR, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, start_value VARCHAR, minimum_value VARCHAR, maximum_value VARCHAR, increment VARCHAR, cycle_option VARCHAR);
CREATE TABLE isc.sql_features(feature_id VARCHAR, feature_name VARCHAR, sub_feature_id VARCHAR, sub_feature_name VARCHAR, is_supported VARCHAR, is_verified_by VARCHAR, comments VARCHAR);
CREATE TABLE isc.sql_implementation_info(implementation_info_id VARCHAR, implementation_info_name VARCHAR, integer_value INTEGER, character_value VARCHAR, comments VARCHAR);
CREATE TABLE isc.sql_parts(feature_id VARCHAR, feature_name VARCHAR, is_supported VARCHAR, is_verified_by VARCHAR, comments VARCHAR);
CREATE TABLE isc.sql_sizing(sizing_id INTEGER, sizing_name VARCHAR, supported_value INTEGER, comments VARCHAR);
CREATE TABLE isc.transforms(udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR, group_name VARCHAR, transform_type VARCHAR);
CREATE TABLE isc.triggered_update_columns(trigger_catalog VARCHAR, trigger_schema VARCHAR, trigger_name VARCHAR, event_object_catalog VARCHAR, event_object_schema VARCHAR, event_object_table VARCHAR, event_object_column VARCHAR);
CREATE TABLE isc.triggers(trigger_catalog VARCHAR, trigger_schema VARCHAR, trigger_name VARCHAR, event_manipulation VARCHAR, event_object_catalog VARCHAR, event_object_schema VARCHAR, event_object_table VARCHAR, action_order INTEGER, action_condition VARCHAR, action_statement VARCHAR, action_orientation VARCHAR, action_timing VARCHAR, action_reference_old_table VARCHAR, action_reference_new_table VARCHAR, action_reference_old_row VARCHAR, action_reference_new_row VARCHAR, created TIMESTAMP);
CREATE TABLE isc.udt_privileges(grantor VARCHAR, grantee VARCHAR, udt_catalog VARCHAR, udt_schema VARCHAR, udt_name VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.usage_privileges(grantor VARCHAR, grantee VARCHAR, object_catalog VARCHAR, object_schema VARCHAR, object_name VARCHAR, object_type VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE isc.user_defined_types(user_defined_type_catalog VARCHAR, user_defined_type_schema VARCHAR, user_defined_type_name VARCHAR, user_defined_type_category VARCHAR, is_instantiable VARCHAR, is_final VARCHAR, ordering_form VARCHAR, ordering_category VARCHAR, ordering_routine_catalog VARCHAR, ordering_routine_schema VARCHAR, ordering_routine_name VARCHAR, reference_type VARCHAR, data_type VARCHAR, character_maximum_length INTEGER, character_octet_length INTEGER, character_set_catalog VARCHAR, character_set_schema VARCHAR, character_set_name VARCHAR, collation_catalog VARCHAR, collation_schema VARCHAR, collation_name VARCHAR, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, datetime_precision INTEGER, interval_type VARCHAR, interval_precision INTEGER, source_dtd_identifier VARCHAR, ref_dtd_identifier VARCHAR);
CREATE TABLE isc.user_mapping_options(authorization_identifier VARCHAR, foreign_server_catalog VARCHAR, foreign_server_name VARCHAR, option_name VARCHAR, option_value VARCHAR);
CREATE TABLE isc.user_mappings(authorization_identifier VARCHAR, foreign_server_catalog VARCHAR, foreign_server_name VARCHAR);
CREATE TABLE isc.view_column_usage(view_catalog VARCHAR, view_schema VARCHAR, view_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR);
CREATE TABLE isc.view_routine_usage(table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR);
CREATE TABLE isc.view_table_usage(view_catalog VARCHAR, view_schema VARCHAR, view_name VARCHAR, table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR);
CREATE TABLE isc.views(table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, view_definition VARCHAR, check_option VARCHAR, is_updatable VARCHAR, is_insertable_into VARCHAR, is_trigger_updatable VARCHAR, is_trigger_deletable VARCHAR, is_trigger_insertable_into VARCHAR);
-- Nobody has a grant by name, so a list of grants has no rows.
CREATE MACRO pgc.aclexplode(x) AS unnest(CAST([] AS STRUCT(grantor UINTEGER, grantee UINTEGER, privilege_type VARCHAR, is_grantable BOOLEAN)[]));
CREATE MACRO pgc.aclexplode(x) AS TABLE SELECT CAST(NULL AS UINTEGER) AS grantor, CAST(NULL AS UINTEGER) AS grantee, CAST(NULL AS VARCHAR) AS privilege_type, CAST(NULL AS BOOLEAN) AS is_grantable WHERE false;
CREATE MACRO pgc.acldefault(a, b) AS CAST([] AS VARCHAR[]);
CREATE MACRO pgc.bpchar(x) AS CAST(x AS VARCHAR);
CREATE MACRO pgc.encode(x, f) AS CAST(x AS VARCHAR);
CREATE MACRO pgc.pg_is_wal_replay_paused() AS false;
CREATE MACRO pgc.pg_available_extensions() AS TABLE SELECT * FROM pgc.pg_available_extensions;
CREATE MACRO pgc.oidvectortypes(x) AS '';
CREATE MACRO pgc.substring_match(x, pattern) AS nullif(regexp_extract(x, pattern, 1), '');
