// Package integration tests a whole federation: the real program as real processes, with real certificates, on real
// ports, over real data.
//
// The data are in ../../shared/data, or in the folder that INTRAMUROS_DATA names. Tests whose folder is missing are
// skipped, and say so. The expected answers come from one DuckDB over the union of the hospitals' rows, with SQL
// written by hand (see testdata/eicu.questions).
//
//	INTRAMUROS_FULL=1    also the federation of all 186 hospitals
//	INTRAMUROS_BENCH=1   the benchmark; INTRAMUROS_BENCH_ROWS is its size
//	INTRAMUROS_RACE=1    builds the binary with the race detector
package integration
