// Package adversary tests what a hospital computes against misuse: over data that break every promise of the catalog,
// with statements for which the planner's knowledge of values matters, on every engine.
//
//   - TestNeighbours: with and without one patient, a statement's exact partial aggregates differ by no more than its
//     plan declares, and it ends alike: with an answer, or with the same error.
//   - TestHostileStatements: statements from the whole grammar are planned, compiled and prepared within limits of time
//     and memory.
//   - TestMutants: each of a list of defects, put into the code for one run, makes its test fail.
//
// The path without noise exists only in tests.
//
//	INTRAMUROS_TRIPLES   how many cases an engine, and how many hostile statements
//	INTRAMUROS_SEED      another run than the usual one; repeats one of a night
//	INTRAMUROS_FULL=1    all mutants, not a few
package adversary
