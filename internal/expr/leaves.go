package expr

import (
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/value"
)

var leaves = map[Op]operation{
	OpColumn: {
		typ: func(e *Expr) (value.Type, error) {
			if e.Relation == "" || e.Column == "" {
				return "", mistyped("a column lacks its name")
			}
			return value.ParseType(string(e.Type))
		},
	},
	OpLiteral: {
		typ: func(e *Expr) (value.Type, error) {
			if e.Value == nil || !e.Value.Valid() {
				return "", mistyped("a literal lacks its value")
			}
			return e.Value.Type(), nil
		},
		longest: literalLength,
	},
	OpHospital: {typ: gives(value.TypeText)},
}

func literalLength(e *Expr, _ func(*Expr) int) int {
	if e.Value.IsNull() {
		return 0
	}
	return utf8.RuneCountInString(e.Value.Str())
}
