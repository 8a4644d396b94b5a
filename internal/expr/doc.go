// Package expr has typed expressions of one row's values: what they are, which values they give, and what is known of
// these before any row is read. It knows of no relation: a column is a name, and whoever asks says what it holds.
//
//   - An Expr is an operation (Op) with its arguments, of one type. New and Cast check types, and a node checks again
//     with CheckType what it is sent.
//   - Evaluate computes an expression. It is the reference: engines are tested against it.
//   - RangeOf says which values an expression can have: bounds, by interval arithmetic; a domain, where they are few;
//     and whether it may be NULL. A RangeAnalysis asks for many expressions over the same columns.
//   - Regexp, LikeRegexp and Cut define what patterns mean, and how long texts may get.
//
// # Expressions are total
//
// No expression can fail on a row's value: a division by zero, an integer beyond 64 bits, a real number beyond float64
// and a text that is no number give NULL. Where only certain values are left, an engine's SQL needs no guard; Range
// tells.
//
// # Equality is structural
//
// Equal compares operations, and not pointers. One pointer for equal expressions would need a table of all that there
// are, kept by whoever makes expressions, or by the process, where those of a hostile query would have to be
// forgotten. It would save nothing: a comparison ends at the first operation that differs, and a RangeAnalysis, which
// keeps what it derived by pointer, is of one scope, whose columns have names of their own. Of the 241,000 operations
// of planner.TestReadAgain no two in one scope are equal. Where expressions are put in order or make a digest, their
// JSON counts (Canonical of planner/scalar), for the names of stored answers rest on it.
//
// # Engines
//
// An engine may differ from Evaluate in real numbers nearer to zero than 1e-150 and beyond 8.9e307. Ranges account for
// it.
package expr
