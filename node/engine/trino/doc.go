// Package trino runs fragments in Trino (435 or later), over whatever its catalogs
// reach: Iceberg, Hive and Delta lakes, PostgreSQL, Oracle, ClickHouse, BigQuery,
// Snowflake and others. It is the only importer of Trino's client.
//
// What the user may read is for Trino's access control to say; the node hands over
// nothing but single SELECT statements, none of them from outside. The end of a
// context cancels the query at the server. Trino has no number for the state of its
// data, so that the custodian must name it: Config.DataVersion.
package trino
