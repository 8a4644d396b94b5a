// Package stream adds up the rows of a fragment patient by patient, outside of the database. It takes rows in batches,
// in any order and on several threads, and returns the integers that package compile's SQL returns.
//
// The database reads, joins, filters and computes. This package does what the database does slowly. Grouping by patient
// and key makes almost as many groups as there are rows, and the hash table exceeds every cache. So rows are scattered
// by patient into partitions that fit into a cache. A patient's rows are gathered there, whatever batch they came in,
// and the patients are clipped and added up a few at a time, one column after another.
//
// If nothing but the patient distinguishes rows, rows are neither scattered nor kept. They are counted, and their
// numbers added up, in a record of each patient, whose place follows from the id. Both ways need ids that are close
// together, such as consecutive numbers. Texts are numbered consecutively. If a batch shows that ids are not close
// together, rows are scattered by a hash of the patient, and found by it.
//
// # The last step bounds
//
// This package trusts nothing that the database computed. It clamps each number to its grid (Cell), clamps a patient's
// parts to their caps, computes the norm from these very parts, and adds them up times the factor that follows from the
// norm. Package internal/fragment has the definition, and the rule. A patient's rows are gathered by the id and by
// nothing else. Neither their order, nor how often they come separately, nor their division over threads changes the
// result.
//
// # Memory
//
// A row that is kept takes 4 bytes, or 8 if ids are not close together, and 4 for each number and for the keys. If the
// rows do not fit, half of the partitions are dropped, and the rows are read again for them. A patient's rows are in
// one partition, so each reading is complete. If the rows do not fit in this way either, the error is ErrTooMuch, and
// the database runs the fragment.
package stream
