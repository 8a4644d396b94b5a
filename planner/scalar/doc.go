// Package scalar turns a term of the SQL text into an expression over one row. It says what operators and functions
// mean and which types their arguments take. It puts expressions into a normal form, so that equivalent ways to write a
// query give the same fragment. It knows no catalog: the caller resolves columns.
//
//		syntax.Expr ─Build(term, resolve)─> expr.Expr in normal form
//
//	  - functions.go is the one table of functions, and reads their arguments; numbers.go, texts.go, dates.go,
//	    dateformats.go and choices.go build them; casts.go builds CAST;
//	  - operators.go builds operators and finds the type that operands share;
//	  - normal.go applies one operation in normal form, and compares expressions.
package scalar
