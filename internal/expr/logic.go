package expr

import (
	"math"

	"github.com/intramuros/intramuros/internal/value"
)

// Conditions and choices among values. The types of arguments are in parentheses. NULL arguments give NULL unless
// stated otherwise.
const (
	OpEqual          Op = "="
	OpNotEqual       Op = "<>"
	OpLess           Op = "<"
	OpLessOrEqual    Op = "<="
	OpGreater        Op = ">"
	OpGreaterOrEqual Op = ">="
	OpIn             Op = "in" // (any, literal...)
	OpIsNull         Op = "is null"
	OpDistinct       Op = "is distinct from" // <>, but NULL equals NULL and nothing else

	OpAnd Op = "and" // (bool, bool...), three-valued
	OpOr  Op = "or"  // (bool, bool...), three-valued
	OpNot Op = "not"

	OpCase     Op = "case"     // (bool, any, bool, any, ..., any): the value after the first true condition, or the last argument
	OpCoalesce Op = "coalesce" // the first value that is not NULL
	OpLeast    Op = "least"    // NULLs are ignored
	OpGreatest Op = "greatest" // NULLs are ignored
)

var logic = map[Op]operation{
	OpEqual:          comparison(func(order int) bool { return order == 0 }),
	OpNotEqual:       comparison(func(order int) bool { return order != 0 }),
	OpLess:           comparison(func(order int) bool { return order < 0 }),
	OpLessOrEqual:    comparison(func(order int) bool { return order <= 0 }),
	OpGreater:        comparison(func(order int) bool { return order > 0 }),
	OpGreaterOrEqual: comparison(func(order int) bool { return order >= 0 }),
	OpIn:             {fewest: 2, most: maxArgs, typ: inType, evaluate: in, nulls: true, readsWhole: always, precedence: 4},
	OpIsNull: {
		fewest: 1, most: 1, typ: gives(value.TypeBool),
		evaluate: func(_ value.Type, args []value.Value) value.Value { return value.Bool(args[0].IsNull()) }, nulls: true,
		bounds:     func(*Expr, []Range) Range { return Unknown(false) },
		readsWhole: always, precedence: 4,
	},
	OpDistinct: {
		fewest: 2, most: 2, typ: comparable2,
		evaluate: func(_ value.Type, args []value.Value) value.Value { // Compare treats two NULLs as equal
			return value.Bool(value.Compare(args[0], args[1]) != 0)
		},
		nulls:      true,
		bounds:     func(*Expr, []Range) Range { return Unknown(false) },
		readsWhole: always, precedence: 4,
	},

	OpAnd: {fewest: 2, most: maxArgs, typ: takes(value.TypeBool, "a condition", value.TypeBool), evaluate: connective(false), nulls: true, precedence: 2},
	OpOr:  {fewest: 2, most: maxArgs, typ: takes(value.TypeBool, "a condition", value.TypeBool), evaluate: connective(true), nulls: true, precedence: 1},
	OpNot: {
		fewest: 1, most: 1, typ: takes(value.TypeBool, "a condition", value.TypeBool),
		evaluate:   func(_ value.Type, args []value.Value) value.Value { return value.Bool(!args[0].True()) },
		precedence: 3,
	},

	OpCase: {
		fewest: 3, most: maxArgs, typ: caseType, evaluate: chosen, nulls: true,
		bounds:  func(_ *Expr, args []Range) Range { return union(branches(args)) },
		longest: func(e *Expr, of func(*Expr) int) int { return longestOf(branches(e.Args), of) },
	},
	OpCoalesce: {
		fewest: 1, most: maxArgs, typ: unified, nulls: true,
		evaluate: func(t value.Type, args []value.Value) value.Value {
			for _, a := range args {
				if !a.IsNull() {
					return widen(a, t)
				}
			}
			return value.Null(t)
		},
		bounds: func(_ *Expr, args []Range) Range {
			f := union(args)
			f.Nullable = true
			for _, a := range args {
				f.Nullable = f.Nullable && a.Nullable
			}
			return f
		},
		longest: longestArgument,
	},
	OpLeast:    extreme(-1),
	OpGreatest: extreme(1),
}

// comparison is an operation that is true if holds accepts the order of two values: -1, 0 or 1.
func comparison(holds func(order int) bool) operation {
	return operation{
		fewest: 2, most: 2, typ: comparable2,
		evaluate: func(_ value.Type, args []value.Value) value.Value {
			return value.Bool(holds(value.Compare(args[0], args[1])))
		},
		readsWhole: always, precedence: 4,
	}
}

func comparable2(e *Expr) (value.Type, error) {
	return value.TypeBool, comparesWith(e.Args[0], e.Args[1])
}

func comparesWith(a, b *Expr) error {
	if a.Type != b.Type && !(a.Type.Numeric() && b.Type.Numeric()) {
		return mistyped("%s does not compare with %s", a.Type, b.Type)
	}
	return nil
}

func inType(e *Expr) (value.Type, error) {
	for _, a := range e.Args[1:] {
		if a.Op != OpLiteral {
			return "", mistyped("in takes constants")
		}
		if err := comparesWith(e.Args[0], a); err != nil {
			return "", err
		}
	}
	return value.TypeBool, nil
}

func in(_ value.Type, args []value.Value) value.Value {
	if args[0].IsNull() {
		return value.Null(value.TypeBool)
	}
	null := false
	for _, a := range args[1:] {
		if a.IsNull() {
			null = true
		} else if value.Compare(args[0], a) == 0 {
			return value.Bool(true)
		}
	}
	if null {
		return value.Null(value.TypeBool)
	}
	return value.Bool(false)
}

// connective evaluates OR (decides is true) or AND (decides is false): one argument with the deciding value decides.
func connective(decides bool) func(value.Type, []value.Value) value.Value {
	return func(_ value.Type, args []value.Value) value.Value {
		null := false
		for _, a := range args {
			if a.IsNull() {
				null = true
			} else if a.True() == decides {
				return value.Bool(decides)
			}
		}
		if null {
			return value.Null(value.TypeBool)
		}
		return value.Bool(!decides)
	}
}

func unified(e *Expr) (value.Type, error) { return e.unify(e.Args) }

func caseType(e *Expr) (value.Type, error) {
	if len(e.Args)%2 == 0 {
		return "", mistyped("case lacks its last value")
	}
	for i := 0; i+1 < len(e.Args); i += 2 {
		if a := e.Args[i]; a.Type != value.TypeBool {
			return "", mistyped("case needs a condition, and %s is a %s", a, a.Type)
		}
	}
	return e.unify(branches(e.Args))
}

func chosen(t value.Type, args []value.Value) value.Value {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i].True() {
			return widen(args[i+1], t)
		}
	}
	return widen(args[len(args)-1], t)
}

// branches are the values among the arguments of a CASE.
func branches[T any](args []T) []T {
	var values []T
	for i, a := range args {
		if i%2 == 1 || i == len(args)-1 {
			values = append(values, a)
		}
	}
	return values
}

// extreme is the least (-1) or the greatest (1) of several values.
func extreme(sign int) operation {
	return operation{
		fewest: 1, most: maxArgs, typ: unified, nulls: true,
		evaluate: func(t value.Type, args []value.Value) value.Value {
			best := value.Null(t)
			for _, a := range args {
				if !a.IsNull() && (best.IsNull() || value.Compare(a, best)*sign > 0) {
					best = widen(a, t)
				}
			}
			return best
		},
		bounds: func(_ *Expr, args []Range) Range {
			f := union(args)
			f.Nullable = true
			for _, a := range args {
				switch {
				case a.Nullable: // ignored where it is NULL, so it guarantees no bound
					continue
				case sign < 0:
					f.Upper = math.Min(f.Upper, a.Upper)
				default:
					f.Lower = math.Max(f.Lower, a.Lower)
				}
				f.Nullable = false
			}
			return f
		},
		longest: longestArgument,
	}
}

// widen converts the value of a branch to the type of the whole expression.
func widen(v value.Value, t value.Type) value.Value {
	switch {
	case v.IsNull():
		return value.Null(t)
	case t == value.TypeFloat:
		return value.Float(v.Float64())
	}
	return v
}

// null reports whether NULL is the only value.
func (f Range) null() bool { return len(f.Domain) == 1 && f.Domain[0].IsNull() }

// union is the range of a value that is one of several.
func union(args []Range) Range {
	f := Range{Lower: math.Inf(1), Upper: math.Inf(-1)}
	for _, a := range args {
		f.Nullable = f.Nullable || a.Nullable
		if !a.null() {
			f.Lower, f.Upper = math.Min(f.Lower, a.Lower), math.Max(f.Upper, a.Upper)
		}
	}
	if f.Lower > f.Upper {
		return Unknown(true)
	}
	return f
}

// Conjuncts splits a condition at its top-level ANDs. It returns none for nil.
func Conjuncts(e *Expr) []*Expr {
	if e == nil {
		return nil
	}
	return appendConjuncts(nil, e)
}

func appendConjuncts(all []*Expr, e *Expr) []*Expr {
	if e.Op != OpAnd {
		return append(all, e)
	}
	for _, a := range e.Args {
		all = appendConjuncts(all, a)
	}
	return all
}
