package expr

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// String writes the expression as SQL for people. Engines have their own dialects.
func (e *Expr) String() string {
	var b strings.Builder
	e.write(&b, 0)
	return b.String()
}

func (e *Expr) write(b *strings.Builder, outer int) {
	p := operations[e.Op].precedence
	if p != 0 && p < outer {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	list := func(args []*Expr, separator string, level int) {
		for i, a := range args {
			if i > 0 {
				b.WriteString(separator)
			}
			a.write(b, level)
		}
	}
	switch e.Op {
	case OpColumn:
		b.WriteString(e.Relation + "." + e.Column)
	case OpLiteral:
		writeLiteral(b, *e.Value)
	case OpHospital:
		b.WriteString("hospital")
	case OpNegate:
		b.WriteByte('-')
		e.Args[0].write(b, p+1)
	case OpNot:
		b.WriteString("NOT ")
		e.Args[0].write(b, p+1)
	case OpIsNull:
		e.Args[0].write(b, p+1)
		b.WriteString(" IS NULL")
	case OpAnd, OpOr, OpAdd, OpMultiply, OpConcat:
		list(e.Args, " "+strings.ToUpper(string(e.Op))+" ", p)
	case OpIn:
		e.Args[0].write(b, p+1)
		b.WriteString(" IN (")
		list(e.Args[1:], ", ", 0)
		b.WriteByte(')')
	case OpCase:
		b.WriteString("CASE")
		for i := 0; i+1 < len(e.Args); i += 2 {
			b.WriteString(" WHEN ")
			e.Args[i].write(b, 0)
			b.WriteString(" THEN ")
			e.Args[i+1].write(b, 0)
		}
		b.WriteString(" ELSE ")
		e.Args[len(e.Args)-1].write(b, 0)
		b.WriteString(" END")
	case OpExtract:
		b.WriteString(strings.ToUpper(e.Args[0].Value.Str()) + "(")
		e.Args[1].write(b, 0)
		b.WriteByte(')')
	case OpCast:
		b.WriteString("CAST(")
		e.Args[0].write(b, 0)
		b.WriteString(" AS " + string(e.Type) + ")")
	default:
		if p != 0 { // binary operators that are not associative
			e.Args[0].write(b, p)
			b.WriteString(" " + strings.ToUpper(string(e.Op)) + " ")
			e.Args[1].write(b, p+1)
			return
		}
		b.WriteString(strings.ToUpper(string(e.Op)) + "(")
		list(e.Args, ", ", 0)
		b.WriteByte(')')
	}
}

func writeLiteral(b *strings.Builder, v value.Value) {
	switch {
	case v.IsNull():
		b.WriteString("NULL")
	case v.Type() == value.TypeText:
		b.WriteString("'" + strings.ReplaceAll(v.Str(), "'", "''") + "'")
	case v.Type() == value.TypeDate:
		b.WriteString("DATE '" + v.String() + "'")
	case v.Type() == value.TypeTimestamp:
		b.WriteString("TIMESTAMP '" + v.String() + "'")
	default:
		b.WriteString(v.String())
	}
}
