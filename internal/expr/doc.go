// Package expr has typed expressions over the values of one row: what they are, which values they give, and what is
// known of these values before any row is read. It knows no relations. A column is a name, and the caller says what it
// holds.
//
//   - An Expr is an operation (Op) with its arguments, and has one type. New and Cast check types. A node checks the
//     types of received expressions again with CheckType.
//   - Evaluate computes an expression. It is the reference: engines are tested against it.
//   - RangeOf says which values an expression can have: bounds, by interval arithmetic; a domain, if there are few
//     values; and whether it may be NULL. A RangeAnalysis does this for many expressions over the same columns.
//   - Regexp, LikeRegexp and Cut define what patterns mean and how long texts may become.
//
// # Expressions are total
//
// No expression can fail on a row's value. These give NULL: a division by zero, an integer beyond 64 bits, a real
// number beyond float64, and a text that is not a number. If only safe values remain, an engine's SQL needs no guard;
// Range says so.
//
// # Equality is structural
//
// Equal compares operations, not pointers. Interning, one pointer for equal expressions, would need a table of all
// expressions, kept by the caller or by the process. A process would have to forget the expressions of hostile queries.
// Interning would also save nothing. A comparison ends at the first different operation. A RangeAnalysis caches by
// pointer, but it belongs to one scope, whose columns have names of their own. Among the 241,000 operations of
// planner.TestReadAgain no two in one scope are equal. Where expressions are sorted or hashed, their JSON is used
// (Canonical of planner/scalar), because the names of stored answers rest on it.
//
// # Engines
//
// An engine may differ from Evaluate for real numbers nearer to zero than 1e-150 or beyond 8.9e307. Ranges account for
// it.
package expr
