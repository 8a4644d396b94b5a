// Package engine is what all engines share: how a hospital's tables are mapped to
// the catalog's, and all of an engine but its connection. Package compile below it
// writes the SQL; duckdb, postgres and trino are the connections.
//
// # What a source may hold
//
// Each table of the catalog that the hospital offers is read through a View, which
// has the catalog's columns and types: a local column of another type is converted,
// and what does not convert is NULL; a column that is missing here is NULL. Of what
// tells patients apart, no two values are read as one: see View.read. What a
// source can hold and the catalog's types cannot is read so: NaN is NULL; an infinity
// is the nearest bound, or NULL where there is none; a date or timestamp without
// bounds is NULL beyond the years 1 to 9999.
package engine
