package compile

import "github.com/intramuros/intramuros/internal/expr"

// write writes an operation, whose arguments it may repeat.
type write func(c *compiler, e *expr.Expr) code

// written is how engines write an operation. PostgreSQL and Trino write as DuckDB does where they have no way of their
// own.
type written struct {
	duckDB, postgreSQL, trino write
}

// operations picks one engine's way to write each operation, which the families of package expr list. own gives what
// the engine has of its own.
func operations(own func(written) write) map[expr.Op]write {
	all := map[expr.Op]write{}
	for _, family := range []map[expr.Op]written{logic, numbers, dates, texts, casts} {
		for op, w := range family {
			if all[op] = own(w); all[op] == nil {
				all[op] = w.duckDB
			}
		}
	}
	return all
}

// template puts the arguments, NULL where they are, into the places of a format.
func template(format string) write {
	return func(c *compiler, e *expr.Expr) code {
		var args []any
		for _, a := range e.Args {
			args = append(args, c.finiteOrNull(a))
		}
		return c.f(format, args...)
	}
}
