// Package stream adds up the rows of a fragment patient by patient, outside of the database: it is given rows in
// batches, in any order and on several threads, and gives the integers that package compile's SQL gives.
//
// The database reads, joins, filters and computes; what it does slowly is done here. Grouping by patient and key makes
// almost as many groups as there are rows, and its hash table leaves every cache. So rows are scattered by patient into
// partitions that fit into one, a patient's rows are gathered there, whatever batch they came in, and the patients are
// clipped and added up some at a time, one column after another. Where nothing but the patient tells rows apart they
// are neither scattered nor kept: they are counted, and their numbers added up, in a record of each patient, which
// stands where the id says. Both need ids that are close together, as numbers given in turn are; texts are numbered so.
// Where the first batch, or a later one, shows that they are not, rows are scattered by a hash of the patient, and
// found by it.
//
// # The last step bounds
//
// Nothing is believed of what the database computed. Each number is moved into its grid here (Cell), the parts of a
// patient are clamped to their caps, the norm is computed from these very parts, and they are added up times the factor
// that follows from it: internal/fragment has the definition, and the rule. A patient's rows are gathered by the id and
// by nothing else; in which order they come, how often they come apart and how they are divided over threads changes
// nothing.
//
// # Memory
//
// A row that is kept takes 4 bytes, or 8 where ids are not close together, and four for each number and for the keys.
// Where rows do not fit, half of the partitions are let go of, and the rows are read again for them: a patient's rows
// are in one partition, so that each reading is whole. What does not fit so is ErrTooMuch, and is left to the database.
package stream
