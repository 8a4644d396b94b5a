package compile

import "github.com/intramuros/intramuros/internal/expr"

// write writes an operation. It may repeat the arguments.
type write func(c *compiler, e *expr.Expr) code

// written is how engines write an operation. PostgreSQL and Trino write it as DuckDB does unless they have an entry.
type written struct {
	duckDB, postgreSQL, trino write
}

// operations selects how one engine writes each operation of package expr's families. own returns the engine's own
// entry.
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

// template fills a format with the arguments; non-finite floats become NULL.
func template(format string) write {
	return func(c *compiler, e *expr.Expr) code {
		var args []any
		for _, a := range e.Args {
			args = append(args, c.finiteOrNull(a))
		}
		return c.f(format, args...)
	}
}
