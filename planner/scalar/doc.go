// Package scalar makes a term of the text an expression over one row, once its columns are known: what operators and
// functions mean, which types their arguments take, and in which normal form the expression stands, so that
// rewritings of a query are the same fragment. It knows no catalog: a caller resolves the arguments.
//
//		syntax.Expr ─Build(term, resolve)─> expr.Expr in normal form
//
//	  - functions.go is the one table of functions, and reads their arguments; numbers.go, texts.go, dates.go,
//	    dateformats.go and choices.go build them; casts.go builds CAST;
//	  - operators.go builds operators and finds the type that operands share;
//	  - normal.go applies one operation in normal form, and compares expressions.
package scalar
