// Package duckdb runs fragments in DuckDB, over a read-only .duckdb file or over
// Parquet and CSV files. It is the only importer of the DuckDB driver.
//
// Each table of the catalog that the hospital offers is a view of the schema
// `logical`, whose columns have the catalog's types; package compile writes SELECTs
// over these views.
//
// # Expressions are total
//
// What an expression means is expr.Evaluate, and no row's value makes it
// raise. Three means serve that: integer arithmetic whose interval is not proved
// to fit in 64 bits is computed in 128; real arithmetic may give NaN or an
// infinity, which lasts through further arithmetic and becomes NULL at the first
// operation that could lose it; texts convert only if they match the patterns of
// internal/fragment. DuckDB's TRY is not used: a raised error costs so much that
// the time of an answer would tell.
//
// What a source can hold and the catalog's types cannot is read so: NaN is NULL;
// an infinity is the nearest bound, or NULL where there is none; a date or
// timestamp without bounds is NULL outside of the years 1 to 9999.
//
// # What the connection can do
//
// Once the sources are attached, DuckDB opens no file but theirs and the spill
// folder's, loads no extension, and refuses to be configured otherwise. It cannot
// tell reading a Parquet or CSV file from writing it, so nothing but a single
// SELECT is ever handed to it.
package duckdb
