// Package postgres runs fragments in PostgreSQL 13 or later, over its existing tables and views. It is the only
// importer of the PostgreSQL driver.
//
// # What the connection can do
//
// The node's role must be unable to write, to read the server's files and to run programs there; Open refuses any other
// role. docs/postgresql-role.sql creates one. Each query is one statement of the extended protocol, in a READ ONLY
// transaction with one snapshot (REPEATABLE READ) and a time limit at the server. The end of a context cancels it
// there. No temporary table is created, and no SQL text comes from outside, so that functions such as pg_sleep cannot
// be called.
//
// # What a source holds
//
// In addition to the rules of package engine: a NUMERIC is read as the nearest float64 or int; a timestamp with time
// zone in the hospital's zone; CHARACTER(n) without its padding; other types as their texts.
package postgres
