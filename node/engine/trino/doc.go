// Package trino runs fragments in Trino (435 or later), over whatever its catalogs reach: Iceberg, Hive and Delta
// lakes, PostgreSQL, Oracle, ClickHouse, BigQuery, Snowflake and others. It is the only importer of Trino's client.
//
// Trino's access control decides what the user may read. The node sends only single SELECT statements, and none of them
// comes from outside. The end of a context cancels the query at the server. Trino has no number for the state of its
// data, so the custodian must name it: Config.DataVersion.
package trino
