// Package dictionary answers the questions about tables, columns, keys and types that PostgreSQL's clients ask of
// pg_catalog and information_schema, and small ones such as SELECT version() or SELECT 1.
//
// Clients ask with joins, subqueries, casts and functions that change from release to release, so a list of known
// questions would soon be outdated. Instead, the federation's catalog, and nothing else, is put into an in-memory
// DuckDB as tables with PostgreSQL's names (schema.sql). A question is rewritten token by token where DuckDB writes
// things differently, and runs there.
//
// Contract: the database holds public facts only. A question is one SELECT whose functions are on an allow-list. It
// cannot access files, network or configuration, and its time and memory are limited. In a daemon it runs in one of
// four processes (Start). A process that exceeds its memory limit or does not end in time is killed and replaced. One
// person's questions use two of them at most. A question that is not covered is refused, never guessed.
package dictionary
