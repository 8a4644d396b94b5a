// Package engine is what all engines share: how a hospital's tables are mapped to the catalog's, and all of an engine
// except its connection. Package compile writes the SQL; duckdb, postgres and trino are the connections.
//
// # What a source may hold
//
// Each catalog table that the hospital offers is read through a View, which has the catalog's columns and types. A
// local column of another type is converted; a value that does not convert, and a missing column, is NULL. Two
// different values that identify patients are never read as one: see View.read. A source may hold values that the
// catalog's types cannot: NaN is read as NULL; an infinity as the nearest bound, or NULL if there is none; a date or
// timestamp without bounds as NULL beyond the years 1 to 9999.
package engine
