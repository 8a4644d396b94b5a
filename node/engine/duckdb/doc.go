// Package duckdb runs fragments in DuckDB, over a read-only .duckdb file or over
// Parquet and CSV files. It is the only importer of the DuckDB driver.
//
// # From fragment to SQL
//
// Each table of the catalog that the hospital offers is a view of the schema
// `logical`, whose columns have the catalog's types. A fragment becomes one
// SELECT over these views, in steps, of which those that the proof makes needless
// are left out:
//
//	rows    the patient, the keys and the summed values of each row that counts
//	reach   for each patient, how far the choice of groups need look; only for speed
//	parts   one row for each patient and group: what internal/fragment defines
//	kept    ranks a patient's parts by a keyed hash, for MaxGroups of them to stay
//	        the sums over patients
//
// All literals in it are quoted here; the only parameters are the two halves of
// the secret key of the group-choosing hash, so that the text is fit to show.
//
// # Expressions are total
//
// What an expression means is fragment.Evaluate, and no row's value makes it
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
