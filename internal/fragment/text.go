package fragment

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
)

// String writes the derived relation as SQL for people. Engines have their own dialects.
func (d *Query) String() string {
	if d.SetOp != "" {
		var inputs []string
		for _, input := range d.Inputs {
			text := input.String()
			if input.SetOp != "" {
				text = "(\n  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n)"
			}
			inputs = append(inputs, text)
		}
		return strings.Join(inputs, "\n"+strings.ToUpper(string(d.SetOp))+"\n")
	}
	var columns, keys []string
	for _, o := range d.Columns {
		text := o.String()
		if o.Function == "" {
			keys = append(keys, o.Name)
		}
		if o.Function != "" || o.Expr.Op != expr.OpColumn || o.Expr.Column != o.Name {
			text += " AS " + o.Name
		}
		columns = append(columns, text)
	}
	var b strings.Builder
	b.WriteString("SELECT " + strings.Join(columns, ", "))
	if len(d.Relations) > 0 {
		b.WriteString("\nFROM ")
	}
	for i, r := range d.Relations {
		if i > 0 {
			b.WriteString("\n" + strings.ToUpper(string(r.Join)) + " JOIN ")
		}
		b.WriteString(r.String())
	}
	if d.Filter != nil {
		fmt.Fprintf(&b, "\nWHERE %s", d.Filter)
	}
	if d.Grouped && len(keys) > 0 {
		b.WriteString("\nGROUP BY " + strings.Join(keys, ", "))
	}
	return b.String()
}

// String writes the relation and how it is joined as SQL for people.
func (r Relation) String() string {
	text := r.Table
	switch {
	case r.Query != nil:
		text = "(\n  " + strings.ReplaceAll(r.Query.String(), "\n", "\n  ") + "\n) AS " + r.Name
	case r.Name != r.Table:
		text += " AS " + r.Name
	}
	if r.On != nil {
		text += " ON " + r.On.String()
	}
	return text
}

// String writes the output as SQL for people.
func (o *Output) String() string {
	if o.Function == "" {
		return o.Expr.String()
	}
	argument := ""
	if o.Expr != nil {
		argument = o.Expr.String()
	}
	text := map[Function]string{FunctionRows: "COUNT(*)", FunctionDistinct: "COUNT(DISTINCT " + argument + ")", FunctionRowNumber: "ROW_NUMBER()",
		FunctionRank: "RANK()", FunctionDenseRank: "DENSE_RANK()", FunctionFirst: "FIRST_VALUE(" + argument + ")", FunctionLast: "LAST_VALUE(" + argument + ")"}[o.Function]
	if text == "" {
		text = strings.ToUpper(string(o.Function)) + "(" + argument + ")"
	}
	w := o.Window
	if w == nil {
		return text
	}
	if w.Offset > 1 {
		text = strings.TrimSuffix(text, ")") + fmt.Sprintf(", %d)", w.Offset)
	}
	var parts []string
	if len(w.Partition) > 0 {
		var by []string
		for _, e := range w.Partition {
			by = append(by, e.String())
		}
		parts = append(parts, "PARTITION BY "+strings.Join(by, ", "))
	}
	if len(w.Order) > 0 {
		var by []string
		for _, order := range w.Order {
			s := order.Expr.String()
			if order.Descending {
				s += " DESC"
			}
			if order.NullsFirst {
				s += " NULLS FIRST"
			}
			by = append(by, s)
		}
		parts = append(parts, "ORDER BY "+strings.Join(by, ", "))
	}
	if w.Frame != nil {
		unit := "ROWS"
		if w.Frame.Values {
			unit = "RANGE"
		}
		parts = append(parts, fmt.Sprintf("%s %d TO %d", unit, w.Frame.From, w.Frame.To))
	}
	return text + " OVER (" + strings.Join(parts, " ") + ")"
}
