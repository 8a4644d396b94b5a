// Package duckdb runs fragments in DuckDB, over a read-only .duckdb file or over
// Parquet and CSV files. It is the only importer of the DuckDB driver.
//
// Each table of the catalog that the hospital offers is a view in the schema `logical`, whose columns have the
// catalog's types. Package compile writes SELECTs over these views.
//
// # Expressions are total
//
// expr.Evaluate defines what an expression means, and no row's value makes it raise. There are three rules. Integer
// arithmetic is computed in 128 bits unless its range is proved to fit in 64. Float arithmetic may give NaN or an
// infinity, which lasts through further arithmetic and becomes NULL at the first operation that could lose it. Texts
// convert only if they match the patterns of internal/fragment. DuckDB's TRY is not used: a raised error takes so long
// that the response time would reveal it.
//
// A source may hold values that the catalog's types cannot. NaN is read as NULL; an infinity as the nearest bound, or
// NULL if there is none; a date or timestamp without bounds as NULL outside the years 1 to 9999.
//
// # What the connection can do
//
// After the sources are attached, DuckDB opens only their files and those of the spill folder, loads no extension, and
// refuses other settings. It cannot distinguish reading a Parquet or CSV file from writing it, so only single SELECT
// statements are passed to it.
package duckdb
