// Package compile turns fragments into SQL, in the dialects of the engines. It
// knows no driver and opens nothing.
//
// # From fragment to SQL
//
// A fragment becomes one SELECT over what a Target offers for each table of the
// catalog, with the catalog's column names and types. It has steps, of which those
// that the proof makes needless are left out:
//
//	rows    the patient, the keys and the summed values of each row that counts
//	parts   one row for each patient and group: what the rows add up to
//	clipped the parts, bounded, and the factor by which the patient is scaled: what internal/fragment defines
//	        the sums over patients
//
// and for each partial aggregate of buckets leaves, clipped, buckets and packed, which are its own.
//
// Where a select multiplies rows of one patient (fragment.Caps), steps before it find the patients with too many, and
// what it reads leaves out their surplus.
//
// A derived relation is a nested SELECT in the place of a table. All literals are
// quoted here; the only parameters are the two halves of the secret key of the
// hash by which rows stay where joins multiply them, so that the text is fit to show.
//
// # The last step bounds
//
// What the step rows hands to a sum is bounded in its outermost select, whatever was computed before; and what is
// added up over patients is a patient's bounded parts, times the factor that was computed from them. See
// compiler.last and clip.go, and internal/fragment for the rule. No optimizer may leave the clamp out either: one
// that believes the statistics of a Parquet file is kept from knowing what it clamps.
//
// # Expressions are total
//
// What an expression means is expr.Evaluate, and no row's value makes it raise: no argument that an engine's function
// would raise on reaches it. How each engine writes each operation stands in one table for each family of package expr:
// logic.go, numbers.go, dates.go, texts.go and cast.go. A guard is left out only where fragment.NewEnforced says that
// it is never needed.
package compile
