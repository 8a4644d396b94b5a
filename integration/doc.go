// Package integration tests a whole federation: the real binary as real
// processes, with real certificates, on real ports, over real data.
//
// The data lie in ../../shared/data, or in the folder that INTRAMUROS_DATA names;
// tests that need a folder that is not there are skipped, and say so. What an
// answer should be is computed by one DuckDB over the union of the hospitals' rows,
// from SQL written by hand (see testdata/eicu.questions).
//
//	INTRAMUROS_FULL=1    also the federation of all 186 hospitals
//	INTRAMUROS_BENCH=1   the benchmark; INTRAMUROS_BENCH_ROWS is its size
//	INTRAMUROS_RACE=1    builds the binary with the race detector
package integration
