// Package postgres runs fragments in PostgreSQL 13 or later, over its tables and
// views as they stand. It is the only importer of the PostgreSQL driver.
//
// # What the connection can do
//
// The role that the node logs in with must be unable to write, to read the server's
// files and to run its programs; Open refuses another. docs/postgresql-role.sql
// makes one. Each query is one statement of the extended protocol, in a transaction
// that is READ ONLY and sees one snapshot (REPEATABLE READ), under a time limit of
// the server; the end of a context cancels it there. No temporary table is made and
// no SQL text comes from outside, so that functions such as pg_sleep are not reached.
//
// # What a source holds
//
// Beside the rules of package engine: a NUMERIC is read as a float64 or an int, the
// nearest; a timestamp with time zone in the hospital's; CHARACTER(n) without its padding; other
// types as their texts.
package postgres
