package compile

import "github.com/intramuros/intramuros/internal/expr"

// Writes reports whether the engine can write an operation.
func (d *Dialect) Writes(op expr.Op) bool { return d.operations[op] != nil }
