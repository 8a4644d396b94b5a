// Package synth makes a synthetic French hospital federation in OMOP CDM 5.4, for demonstrations, tests and benchmarks.
// No row of it describes a person.
//
// [Generate] writes one folder per hospital and one Parquet file per table. The clinical content is plausible rather
// than calibrated: ages follow the French pyramid, diabetes and hypertension rise with age and body mass index, and
// HbA1c with diabetes; influenza comes in winter, stays are skewed, and some patients come back within 30 days.
// Hospitals differ in size, case mix and how often a result is missing. About 3 % of the patients are known to two
// hospitals, under the same person_id, and their visits are divided between the two.
//
// [Dummy] makes rows from a catalog alone, whatever its schema. The rows follow the catalog and nothing else.
//
// # Determinism
//
// The same Config gives the same rows in the same order. Every value is a function of (seed, identifier, purpose)
// through DuckDB's hash(), which is stable only for the pinned DuckDB version: a new version may give another, equally
// plausible federation. Rounding in the platform's logarithm and cosine may change a last decimal between operating
// systems.
//
// The numbers come from a fast hash, not from a cryptographic source. Nothing here may be used for privacy noise.
//
// # Layout of the rows
//
// Every table is written in person_id order, so that a patient's rows are together. The tables have all the columns of
// OMOP CDM 5.4 in its order; integer is INTEGER, float DOUBLE, datetime TIMESTAMP, varchar(n) VARCHAR.
package synth
