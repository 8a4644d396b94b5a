// Package dictionary answers the questions about tables, columns, keys and types that
// PostgreSQL's clients ask of pg_catalog and information_schema, and the small ones
// beside them: SELECT version(), SELECT 1.
//
// Clients ask with joins, subqueries, casts and functions that change from release to
// release, so that no list of known questions would last. The federation's catalog, and
// nothing else, is put into an in-memory DuckDB as tables of PostgreSQL's names (schema.sql);
// a question is rewritten token by token where DuckDB spells things differently, and run
// there.
//
// Contract: the database holds public facts only. What is run is one SELECT; its functions are on
// an allow-list; it cannot touch files, network or configuration, and is limited in time
// and memory: in a daemon it runs in one of four processes (Start), which is killed and replaced if it takes more
// memory than its ceiling or does not end in time, and of which one person's questions hold two at most. What is not
// covered is refused, never guessed.
package dictionary
