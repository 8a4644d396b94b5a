// Package compile turns fragments into SQL in the dialects of the engines. It imports no driver and opens nothing.
//
// # From fragment to SQL
//
// A fragment becomes one SELECT over what a Target offers for each catalog table, with the catalog's column names and
// types. It consists of steps. Steps that the proof makes unnecessary are left out:
//
//	rows    the patient, the keys and the summed values of each row that counts
//	parts   one row for each patient and group: what the rows add up to
//	clipped the parts, bounded, and the factor by which the patient is scaled: what internal/fragment defines
//	        the sums over patients
//
// Each partial aggregate of buckets also has steps of its own: leaves, clipped, buckets and packed.
//
// If a select multiplies the rows of a patient (fragment.Caps), earlier steps find the patients with too many rows, and
// the select leaves out their surplus.
//
// A derived relation is a nested SELECT in place of a table. All literals are quoted here. The only parameters are the
// two halves of the secret key of the hash that chooses which rows stay when joins multiply them. So the text may be
// shown.
//
// # The last step bounds
//
// The step rows clamps each summand in its outermost select, after all other computation. The sum over patients adds
// each patient's clamped parts, times the factor computed from them. See compiler.last and clip.go, and
// internal/fragment for the rule. No optimizer may remove the clamp: an optimizer that trusts the statistics of a
// Parquet file does not learn what is clamped.
//
// # Expressions are total
//
// expr.Evaluate defines what an expression means, and no row's value makes it raise: no engine function gets an
// argument on which it would raise. Each family of package expr has one table of how each engine writes each operation:
// logic.go, numbers.go, dates.go, texts.go and cast.go. A guard is left out only if fragment.NewEnforced shows that it
// is never needed.
package compile
