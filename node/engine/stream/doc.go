// Package stream adds up the rows of a fragment patient by patient, outside of the database: it is given rows in
// batches, in any order and on several threads, and gives the integers that package compile's SQL gives.
//
// The database reads, joins, filters and computes; what it does slowly is done here. Grouping by patient and key makes
// almost as many groups as there are rows, and its hash table leaves every cache. So rows are scattered by a hash of
// the patient into partitions that fit into one, a patient's rows are gathered there, whatever batch they came in, and
// the patients are clipped and added up some at a time, one column after another. Where nothing but the patient tells
// rows apart they are not gathered: they are counted, and their numbers added up, in a record of each patient of a
// partition; rows that come patient by patient are not even scattered first.
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
// A row takes 8 bytes, and four for each number and for the keys. Where rows do not fit, half of the partitions are let
// go of, and the rows are read again for them: a patient's rows are in one partition, so that each reading is whole.
// What does not fit so is ErrTooMuch, and is left to the database.
package stream
